"""The geometry of a checkpoint's BEV map: where objects land in it, and how well it can be moved with the ego.

``check`` and ``work`` are those of the study ``layout`` (scripts/studies).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from wotempo.checkpoints.rebuild import load_module
from wotempo.config.checks import check_given_checkpoint, check_scenes
from wotempo.config.schema import DataConfig, typed
from wotempo.datasets import check_split, dataset_of, split_scenes
from wotempo.errors import UserError
from wotempo.evaluation.probes.layout_probe import LAYOUTS, LayoutProbe, probe_layout
from wotempo.evaluation.probes.shift_curve import MOVING_M, Shift
from wotempo.evaluation.windows import windows_of
from wotempo.navsim import NUM_HISTORY, Scene, write_bytes
from wotempo.planners.bev_planner import BevPlanner
from wotempo.preparation.progress import PreparationProgress


@dataclass
class ProbeConfig:
    checkpoint: str | None
    split: str
    scenes: int  # evenly spread over the split
    object_frames: int  # into so many frames objects are put
    output: str | None  # a .json; None: layout_probe.json beside the checkpoint's run
    workspace: str
    data: DataConfig
    batch_size: int
    threads: int | None  # CPU threads of torch; None leaves its default
    progress_bar: bool


def check(raw: DictConfig) -> ProbeConfig:
    config = typed(raw, ProbeConfig)
    check_given_checkpoint(config.checkpoint, "probe")
    check_split(config.split)
    for key in ("scenes", "object_frames", "batch_size"):
        if getattr(config, key) < 1:
            raise UserError(f"{key} is {getattr(config, key)}: set it to 1 or more")
    check_scenes(config.data)
    return config


def output_of(config: ProbeConfig) -> Path:
    """Beside the run whose folder ``checkpoints`` holds the file; beside the file if it lies elsewhere."""
    if config.output is not None:
        return Path(config.output)
    folder = Path(str(config.checkpoint)).parent
    return (folder.parent if folder.name == "checkpoints" else folder) / "layout_probe.json"


def some(scenes: list[Scene], count: int) -> list[Scene]:
    """``count`` of them, evenly spread."""
    picked = np.unique(np.linspace(0, len(scenes) - 1, min(count, len(scenes))).astype(int))
    return [scenes[index] for index in picked]


def residuals(title: str, shift: Shift) -> str:
    return (
        f"{title}: unmoved {shift.unmoved:.2f} · the stage's warp {shift.warped:.2f} · best shift {shift.best:.2f} "
        f"(at {shift.best_factor:g} × the way driven) · another scene {shift.elsewhere:.2f}"
    )


def lines(probe: LayoutProbe, mode: str) -> Iterator[str]:
    """What was measured, one line each, and what it means."""
    o = probe.objects
    yield f"trained as '{mode}', maps at level {probe.level}; objects put into {probe.frames} frames"
    yield (
        f"object at x: {o.along_x.slope:.2f} m in the map per metre, error {o.along_x.error_m:.1f} m; ahead of the ego "
        f"{o.ahead.slope:.2f} (1: where the warp looks for it, 2: a stretched front half)"
    )
    yield f"object at y: {o.along_y.slope:.2f} m in the map per metre, error {o.along_y.error_m:.1f} m"
    yield (
        f"those ahead land {o.whole_cells:.2f} rows from their place in a map of the whole extent, "
        f"{o.front_cells:.2f} rows from that in a stretched front half"
    )
    yield f"{o.near:.0%} of an object's response lies within a cell of it; convolutions and attention spread the rest"
    yield "residual / variance of the map now, given a past one (0 perfect, 1 no better than the mean map):"
    if not probe.shifts:
        yield f"  no two pairs of frames with {MOVING_M:g} m between them: nothing to shift"
        return
    yield residuals(f"  as it is, {probe.shifts[0].pairs} pairs", probe.shifts[0])
    yield residuals("  less the mean map of all scenes", probe.shifts_without_place[0])
    for shift in probe.shifts_without_place[1:]:
        upto = "and more" if shift.to_m is None else f"to {shift.to_m:g} m"
        yield residuals(f"    driven {shift.from_m:g} m {upto}, {shift.pairs} pairs", shift)


def conclusion(probe: LayoutProbe, mode: str) -> str:
    fits = {"fixed": "whole", "compat": "front"}[mode] == probe.layout
    also = "" if fits else f" (not what the map head of '{mode}' asks for)"
    if probe.shifts:
        unmoved, warped = probe.shifts[0].unmoved, probe.shifts[0].warped
        change = abs(warped / unmoved - 1)
        effect = f"takes away {change:.0%} of" if warped < unmoved else f"ADDS {change:.0%} to"
        also += f"; moving history by the stage's warp {effect} what differs"
    told = f"objects say {probe.by_objects}, shifts say {probe.by_shifts}"
    return f"evidence for '{probe.layout}': {LAYOUTS[probe.layout]}{also}; {told}"


def work(raw: DictConfig) -> int:
    config = check(raw)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    module = load_module(Path(str(config.checkpoint)))
    dataset = dataset_of(config.data, config.workspace)
    with PreparationProgress(config.progress_bar) as progress:
        paths = dataset.ready(progress)
        scenes = some(split_scenes(dataset, paths, config.split, progress), config.scenes)
        # As long as a scene has history: pairs of frames are wanted of single-frame checkpoints, too.
        needs = replace(module.model.needs, frames=NUM_HISTORY, stride=1)
        data = windows_of(module, config, paths, {"predict": scenes}, progress, needs, batch_size=config.batch_size)
    assert isinstance(module.model, BevPlanner)
    probe = probe_layout(module.model, data.predict_dataloader(), config.object_frames)
    mode = module.model.config.mode
    content: dict[str, Any] = {
        "checkpoint": config.checkpoint,
        "note": dataset.note,
        "mode": mode,
        "stage": config.split,
        "scenes": len(scenes),
        "layout": probe.layout,
        **asdict(probe),
    }
    output = output_of(config)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(output, json.dumps(content, indent=1).encode())
    for line in (*lines(probe, mode), conclusion(probe, mode)):
        print(line)
    print(f"{content['note']}\nall figures: {output}".strip())
    return 0
