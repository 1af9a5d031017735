"""The agents' velocities as read from a run's BEV maps: from the current one, and from its history.

The run is one of several frames. A small network is fitted on the windows that the run was trained on, and read on
those and on the windows of validation. "repeated" gives it the current map in place of the past ones: same size, no
history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wotempo.checkpoints.rebuild import load_module
from wotempo.config.stored import config_with_images
from wotempo.data.module import NavsimDataModule
from wotempo.errors import UserError
from wotempo.evaluation.probes.velocity_probe import Reading, Windows, fit
from wotempo.planners.backbone.frozen import FrozenEncoder
from wotempo.planners.bev_planner import BevPlanner
from wotempo.preparation.datamodule import cache_root
from wotempo.preparation.prepare import prepare_data

SPLITS = ("train", "val")


@torch.no_grad()
def maps_of(model: BevPlanner, data: NavsimDataModule, split: str) -> tuple[dict[str, Tensor], Tensor]:
    """(what is read -> maps (n, T·C or C, rows, cols), motion (n, A, 5)) of all windows of a split."""
    found: dict[str, list[Tensor]] = {"now": [], "moved": [], "unmoved": [], "fused": []}
    motion: list[Tensor] = []
    for batch in data.train_dataloader() if split == "train" else data.val_dataloader():
        window = batch["bev"][batch["frame_index"]] * batch["valid"][..., None, None, None]
        found["now"].append(window[:, -1])
        found["unmoved"].append(window.flatten(1, 2))
        found["moved"].append(model.fusion.warp_history(window, batch["pose"], batch["valid"])[0].flatten(1, 2))
        found["fused"].append(model.fusion(window, batch["pose"], batch["dt"], batch["valid"]))
        motion.append(batch["agent_motion"])
    maps = {name: torch.cat(parts) for name, parts in found.items()}
    frames = maps["moved"].shape[1] // maps["now"].shape[1]
    read = {
        "the current map": maps["now"],
        "the current map, repeated": maps["now"].repeat(1, frames, 1, 1),
        "history, moved with the ego": maps["moved"],
        "history, not moved": maps["unmoved"],
        "what the run's stage makes of it": maps["fused"],
    }
    return read, torch.cat(motion)


def average(readings: list[Reading]) -> str:
    values = np.mean([[r.forward, r.lateral, r.error] for r in readings], 0)
    return f"{values[0]:6.2f} {values[1]:6.2f} {values[2]:6.2f}   "


def table(run: Path, seeds: int) -> Iterator[str]:
    """Lines: a head, then one for what is read; means over ``seeds`` fits. UserError where the run is not finished, or
    has no history of BEV maps."""
    checkpoint = run / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        raise UserError(f"there is no checkpoint {checkpoint}: name the folder of a finished run")
    model = load_module(checkpoint).model.eval()
    assert isinstance(model, BevPlanner)
    if model.fusion.num_frames < 2 or model.fusion.level != "bev8":
        raise UserError(f"{run} has no history of BEV maps: name a run of several frames with fusion.level=bev8")
    config = config_with_images(run)
    prepared, data = prepare_data(config)
    data.needs = replace(data.needs, motion=True)
    data.use_frozen(FrozenEncoder(model), cache_root(config.data, config.workspace, prepared.paths))
    data.setup("fit")
    (train, moving), (val, moving_val) = (maps_of(model, data, split) for split in SPLITS)
    yield f"{'read from':34}" + "".join(f"{split}: R² v_x, R² v_y, error m/s   " for split in SPLITS)
    for name in train:
        parts = Windows(train[name], moving), [Windows(val[name], moving_val)]
        readings = [fit(*parts, model.config.bev_grid, seed) for seed in range(seeds)]
        cells = "".join(f"{average([r[i] for r in readings]):31}" for i in range(2))
        yield f"{name:34}{cells}"
