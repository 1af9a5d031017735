"""Replay a split's logs frame by frame through a checkpoint, beside the windowed evaluation.

    wotempo drive checkpoint=runs/…/checkpoints/last.ckpt

The model sees the frames as a car would: one after the other, with its own memory of the past ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig

from wotempo.checkpoints.rebuild import load_module
from wotempo.command_line.entry import run
from wotempo.config.checks import check_given_checkpoint
from wotempo.config.schema import DataConfig, typed
from wotempo.data import FrameCache, reach
from wotempo.datasets import check_split, counted, dataset_of, split_scenes
from wotempo.errors import UserError, nearest
from wotempo.evaluation.log_replay import plans_of_rows, replay, stretches
from wotempo.evaluation.planning import plan_all
from wotempo.navsim import Scene, write_bytes
from wotempo.navsim.per_scene import by_cause, each
from wotempo.pdm.agents import human_poses
from wotempo.planners.metrics import displacement
from wotempo.preparation.datamodule import cache_root, feature_spec
from wotempo.preparation.progress import PreparationProgress
from wotempo.streaming.latency import Percentiles
from wotempo.streaming.planner import StreamingPlanner
from wotempo.training.module import LitPlanner

# The windowed evaluation encodes the frames of a batch together: the last bits of its sums differ.
SAME_M = 1e-3


@dataclass
class DriveConfig:
    checkpoint: str | None
    split: str
    log: str | None  # one log of the split; None: all of them
    run_dir: str
    workspace: str
    data: DataConfig
    warmup: int  # pushes that do not count for the latency
    threads: int | None  # CPU threads of torch; None leaves its default
    progress_bar: bool


def check(raw: DictConfig) -> DriveConfig:
    config = typed(raw, DriveConfig)
    check_given_checkpoint(config.checkpoint, "drive")
    check_split(config.split)
    return config


def chosen(scenes: list[Scene], log: str | None) -> list[Scene]:
    """The scenes of one log."""
    names = {scene.log.name for scene in scenes}
    if log is not None and log not in names:
        raise UserError(f"there is no log '{log}' with scenes: {nearest(log, names)}")
    return [scene for scene in scenes if log in (None, scene.log.name)]


def compare(
    scenes: list[Scene], streamed: dict[str, np.ndarray], windowed: dict[str, np.ndarray]
) -> tuple[dict[str, tuple[float, float]], np.ndarray]:
    """Mean ADE and FDE (m) of both, and the largest distance (m) between their plans of each scene (M,). UserError
    where there is no scene that both planned and whose log holds the human's future; prints how many are not."""
    human, failed = each({scene.token: scene for scene in scenes}, human_poses)
    failed |= {token: "its frame was dropped" for token in human if token not in streamed or token not in windowed}
    tokens = [scene.token for scene in scenes if scene.token not in failed]
    for cause in by_cause(failed.items()):
        print(f"not compared: {cause}")
    if not tokens:
        raise UserError(f"none of the {len(scenes)} scenes can be compared")
    truth, first, second = (
        torch.from_numpy(np.stack([plans[token] for token in tokens])).float() for plans in (human, streamed, windowed)
    )
    errors = {}
    for name, plans in (("streamed", first), ("windowed", second)):
        ade, fde = displacement(plans, truth)
        errors[name] = (float(ade.mean()), float(fde.mean()))
    apart = torch.linalg.vector_norm((first - second)[..., :2], dim=-1).amax(-1)
    return errors, apart.numpy()


def work(raw: DictConfig) -> int:
    config = check(raw)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    module = load_module(Path(str(config.checkpoint)))
    planner = StreamingPlanner(module.model)  # first: it refuses a stage that cannot be streamed
    dataset = dataset_of(config.data, config.workspace)
    with PreparationProgress(config.progress_bar) as progress:
        paths = dataset.ready(progress)
        scenes = chosen(split_scenes(dataset, paths, config.split, progress), config.log)
        windowed = plan_all(module, config, paths, scenes, progress, accelerator="cpu", precision="32-true")
        logs = stretches(scenes, reach(module.num_frames, module.frame_stride))
        cache = FrameCache(cache_root(config.data, config.workspace, paths), paths, feature_spec(module.model.config))
        cache.build(
            (),
            [ref for _, refs in logs for ref in refs],
            config.data.prepare_workers,
            progress,
            config.data.missing != "error",
        )
        driven = [replay(planner, refs, cache) for _, refs in counted(logs, "drive logs", progress)]
    frames = pd.DataFrame([row for rows in driven for row in rows])
    run_dir = Path(config.run_dir)
    write_bytes(run_dir / "plans.parquet", frames.to_parquet(index=False))
    report(config, scenes, frames, windowed, module, dataset.note)
    print(f"per frame: {run_dir}/plans.parquet")
    return 0


def report(
    config: DriveConfig,
    scenes: list[Scene],
    frames: pd.DataFrame,
    windowed: dict[str, np.ndarray],
    module: LitPlanner,
    note: str,
) -> None:
    errors, apart = compare(scenes, plans_of_rows(frames), windowed)
    pushes = frames[frames["planned"]]["milliseconds"].to_numpy()[config.warmup :]
    window = f"windows of {module.num_frames} frames"
    window += f" with stride {module.frame_stride}" if module.frame_stride > 1 else ""
    print(" · ".join(filter(None, (f"{len(frames)} frames of {frames['log'].nunique()} logs, {window}", note))))
    print(f"dropped frames: {int((~frames['planned']).sum())}, resets: {int(frames['reset'].notna().sum())}")
    for row in frames[frames["reset"].notna()].itertuples():
        print(f"  {row.log} {row.token}: {row.reset}")
    if len(pushes):
        print(f"a push: {Percentiles.of(pushes / 1e3)}")
    for name, (ade, fde) in errors.items():
        print(f"{name}: ADE {ade:.4f} m, FDE {fde:.4f} m over {len(apart)} scenes")
    different = int((apart > SAME_M).sum())
    verdict = "equal" if not different else f"{different} of {len(apart)} DIFFER"
    print(f"streamed and windowed plans: {verdict} (furthest apart {apart.max():.1e} m, equal means ≤ {SAME_M:g} m)")


if __name__ == "__main__":
    run("drive", DriveConfig, check, work)
