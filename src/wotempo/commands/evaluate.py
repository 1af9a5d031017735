"""Score a checkpoint, and drivers that need no model, on a split: displacement errors and PDM sub-scores.

Progress is relative to the human's (the official score takes PDM-Closed's, so the score here is not the leaderboard's).

python -m wotempo.commands.evaluate checkpoint=<file> [key=value ...]
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from wotempo.commands.checks import check_precision
from wotempo.commands.config import DataConfig, RunConfig, nearest, typed
from wotempo.commands.datamodule import cache_root, data_module
from wotempo.commands.drivers import DRIVERS, drive
from wotempo.commands.entry import run
from wotempo.commands.init_from import read_checkpoint
from wotempo.commands.prepare import TOWN_NOTE, dataset, stage_scenes
from wotempo.commands.progress import PreparationProgress
from wotempo.errors import UserError
from wotempo.maps import read_map
from wotempo.navsim import DataPaths, Scene
from wotempo.pdm.agents import human_poses
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import score
from wotempo.pdm.simulate import simulate
from wotempo.training.module import LitWoTE

COLUMNS = ("ade", "fde", "nc", "dac", "ep", "ttc", "comfort", "score")


@dataclass
class EvaluateConfig:
    checkpoint: str | None = None
    stage: str = "test"
    run_dir: str = "runs"
    workspace: str = "workspace"
    data: DataConfig = field(default_factory=DataConfig)
    baselines: list[str] = field(default_factory=list)
    untrained: bool = False  # the same network before training, too
    imitation: bool = False  # what the same network plans if it goes by its imitation reward alone, too
    precision: str = "32-true"  # of the inference: bf16-mixed runs on CPUs, too
    seed: int = 0  # of the blind MLP and the untrained network
    batch_size: int = 8
    num_workers: int = 0
    accelerator: str = "cpu"
    progress_bar: bool = True


def check(raw: DictConfig) -> EvaluateConfig:
    config = typed(raw, EvaluateConfig)
    for name in config.baselines:
        if name not in DRIVERS:
            raise UserError(f"there is no baseline '{name}': {nearest(name, list(DRIVERS))}")
    check_precision("precision", config.precision, config.accelerator)
    if config.stage not in ("train", "val", "test"):
        raise UserError(f"stage is '{config.stage}': set it to train, val or test")
    if (Path(config.run_dir) / "summary.json").exists():
        raise UserError(f"{config.run_dir} holds another evaluation: choose another run_dir or remove that one")
    if config.checkpoint is not None and not Path(config.checkpoint).is_file():
        raise UserError(f"there is no checkpoint {config.checkpoint}")
    return config


def load_module(path: Path, variant: str = "model") -> LitWoTE:
    """The model of a checkpoint, built from what the checkpoint says about itself: ``model``, ``imitation`` (goes by
    its imitation reward alone) or ``untrained`` (keeps the anchors only)."""
    checkpoint = read_checkpoint(path)
    anchors = checkpoint["state_dict"]["model.trajectory_anchors"].numpy()
    sizes = dict(checkpoint["hyper_parameters"]["model"])
    if variant == "imitation":
        sizes["reward_weights"] = [1.0, 0.0, 0.0, 0.0]
    module = LitWoTE(**{**checkpoint["hyper_parameters"], "model": sizes, "anchors": anchors})
    if variant != "untrained":
        module.load_state_dict(checkpoint["state_dict"])
    return module.eval()


class Planner(L.LightningModule):
    """``predict_step`` for a trainer: tokens and planned trajectories."""

    def __init__(self, module: LitWoTE) -> None:
        super().__init__()
        self.module = module

    def predict_step(self, batch: dict, batch_idx: int) -> list[tuple[str, np.ndarray]]:
        plans = self.module(batch)["trajectory"].float().cpu().numpy()
        return list(zip(batch["tokens"], plans, strict=True))


def plan_all(
    config: EvaluateConfig, module: LitWoTE, paths: DataPaths, scenes: list[Scene], progress
) -> dict[str, np.ndarray]:
    """token -> (8, 3), by batched inference."""
    data = data_module(
        module.model.config,
        config.data,
        paths,
        cache_root(config.data, config.workspace, paths),
        {"predict": scenes},
        module.model.trajectory_anchors.detach().numpy(),
        num_frames=module.num_frames,
        batch_size=config.batch_size,
        num_workers=config.num_workers,
        progress=progress,
    )
    data.build_caches()
    trainer = L.Trainer(
        accelerator=config.accelerator,
        precision=cast(Any, config.precision),
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=config.progress_bar,
        enable_model_summary=False,
    )
    batches = trainer.predict(Planner(module), datamodule=data)
    return dict(pair for batch in batches or [] for pair in batch)


def score_scene(maps: Path, scene: Scene, plans: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per driver for one scene."""
    context = SceneContext.build(scene, read_map(maps, scene.current.map_location))
    human = human_poses(scene)
    poses = np.stack([human, *plans.values()])
    states = simulate(context.ego, poses, start_us=context.start_us)
    reference = float(score(context, states[:1]).masked_progress[0])
    rows = []
    for index, name in enumerate(plans, 1):
        # Alone with the reference, as the official two-row evaluation does: other drivers must not move the score.
        result = score(context, states[index : index + 1], reference_progress=reference)
        error = np.linalg.norm(poses[index, :, :2] - human[:, :2], axis=-1)
        values = {key: float(getattr(result, key)[0]) for key in COLUMNS[2:]}
        rows.append(
            {
                "driver": name,
                "token": scene.token,
                "log": scene.log.name,
                "ade": error.mean(),
                "fde": error[-1],
                **values,
            }
        )
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean of every column per driver, over all tokens."""
    means = rows.groupby("driver")[list(COLUMNS)].mean()
    means.insert(0, "scenes", rows.groupby("driver").size())
    return means.sort_values("score", ascending=False)


def show(means: pd.DataFrame, note: str) -> None:
    view = Table(title=f"{note or 'NAVSIM'} · progress relative to the human's")
    for column in ("driver", *means.columns):
        view.add_column(column)
    for driver, values in means.iterrows():
        view.add_row(str(driver), str(int(values["scenes"])), *(f"{values[name]:.3f}" for name in COLUMNS))
    Console(width=120).print(view)


def work(raw: DictConfig) -> int:
    config = check(raw)
    torch.set_float32_matmul_precision("high")
    run_dir = Path(config.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    where = RunConfig(workspace=config.workspace, data=config.data)
    with PreparationProgress(config.progress_bar) as progress:
        paths = dataset(where, progress)
        scenes = stage_scenes(paths, config.data, config.stage, progress)
    train = stage_scenes(paths, config.data, "train", progress) if "ego_status_mlp" in config.baselines else []
    drivers = {name: drive(name, train, scenes, config.seed) for name in config.baselines}
    if config.checkpoint is not None:
        for variant, wanted in (("model", True), ("imitation", config.imitation), ("untrained", config.untrained)):
            if wanted:
                L.seed_everything(config.seed, verbose=False)
                module = load_module(Path(config.checkpoint), variant)
                drivers[variant] = plan_all(config, module, paths, scenes, progress)
    rows = Parallel(n_jobs=config.data.prepare_workers)(
        delayed(score_scene)(paths.maps, scene, {name: plans[scene.token] for name, plans in drivers.items()})
        for scene in scenes
    )
    frame = pd.DataFrame([row for scene_rows in rows for row in scene_rows])
    frame.to_csv(run_dir / "scores.csv", index=False)
    means = summary(frame)
    note = TOWN_NOTE if config.data.kind == "town" else ""
    (run_dir / "summary.json").write_text(
        json.dumps({"note": note, "checkpoint": config.checkpoint, "drivers": means.to_dict("index")}, indent=1)
    )
    show(means, note)
    print(f"per scene: {run_dir / 'scores.csv'}")
    return 0


if __name__ == "__main__":
    run("evaluate", check, work)
