"""One fault in the real path for every criterion: exactly that criterion fails, with its own exit code.

The faults are put where a programmer would make them: in the loader, in a layer, in the stage's warp, in the optimiser.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from verdicts import failed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def stop_early(monkeypatch):
    from wotempo.training.module import LitPlanner

    original = LitPlanner.training_step

    def step(self, batch, batch_idx):
        self.trainer.should_stop = self.trainer.global_step >= 20
        return original(self, batch, batch_idx)

    monkeypatch.setattr(LitPlanner, "training_step", step)


def truncate_checkpoints(monkeypatch):
    from lightning.pytorch import Trainer

    original = Trainer.save_checkpoint

    def save(self, filepath, *args, **kwargs):
        original(self, filepath, *args, **kwargs)
        Path(filepath).write_bytes(Path(filepath).read_bytes()[:-5000])

    monkeypatch.setattr(Trainer, "save_checkpoint", save)


def hardly_learn(monkeypatch):
    import wotempo.training.optimiser as optimiser

    monkeypatch.setattr(optimiser, "schedule_factor", lambda step, total, config: 1e-6)


def nan_in_a_layer(monkeypatch):
    from wotempo.planners.wote.reward import RewardConvNet

    original, calls = RewardConvNet.forward, []

    def forward(self, *args, **kwargs):
        calls.append(1)
        out = original(self, *args, **kwargs)
        return out * float("nan") if len(calls) == 4 else out

    monkeypatch.setattr(RewardConvNet, "forward", forward)


def transposed_map(monkeypatch):
    from wotempo.data.collate import WindowCollator

    original = WindowCollator.__call__

    def call(self, items):
        batch = original(self, items)
        batch["bev_map"] = batch["bev_map"].transpose(1, 2)
        return batch

    monkeypatch.setattr(WindowCollator, "__call__", call)


def reversed_history(monkeypatch):
    import wotempo.data.dataset as dataset

    original = dataset.all_places

    def places(scenes, num_frames, stride):
        found = original(scenes, num_frames, stride)
        return np.concatenate((found[:, -2::-1], found[:, -1:]), 1)

    monkeypatch.setattr(dataset, "all_places", places)


def negated_poses(monkeypatch):
    import wotempo.data.window as window

    original = window.relative_to
    monkeypatch.setattr(window, "relative_to", lambda origin, pose: original(pose, origin))


def swapped_axes_in_the_warp(monkeypatch):
    import wotempo.fusion.base as base

    original = base.warp_with_mask

    def warp(feature, pose, grid, renormalise=False):
        return original(feature, pose[..., [1, 0, 2]], grid, renormalise)

    monkeypatch.setattr(base, "warp_with_mask", warp)


def detached_history(monkeypatch):
    from wotempo.fusion.convgru import ConvGRUFusion

    original = ConvGRUFusion.forward

    def forward(self, bev, pose, dt, valid):
        return original(self, torch.cat((bev[:, :-1].detach(), bev[:, -1:]), 1), pose, dt, valid)

    monkeypatch.setattr(ConvGRUFusion, "forward", forward)


SHORT = ("trainer.max_epochs=2", "acceptance.loss.allow_inconclusive=true")
FAULTS = [
    ("complete", 15, stop_early, SHORT),
    ("checkpoint", 13, truncate_checkpoints, SHORT),
    ("memory", 11, None, ("acceptance.memory.ceiling_gb=0.2",)),
    ("loss", 12, hardly_learn, ("acceptance.learning.policy=off",)),
    ("finite", 10, nan_in_a_layer, ()),
    ("shapes", 14, transposed_map, ()),
    ("history", 16, reversed_history, ()),
    ("ego_motion", 17, negated_poses, ("acceptance.warp_gain.policy=off",)),
    ("warp_gain", 18, swapped_axes_in_the_warp, SHORT),
    ("gradient_flow", 19, detached_history, ()),
]


@pytest.mark.parametrize(("criterion", "exit_code", "fault", "overrides"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_in_the_real_path_fails_its_criterion_only(criterion, exit_code, fault, overrides, train, monkeypatch):
    if fault is not None:
        fault(monkeypatch)
    code, verdict = train("experiment=convgru_1epoch", *overrides)
    assert failed(verdict) == {criterion}, verdict["reason"]
    assert code == verdict["exit_code"] == exit_code
    assert verdict["status"] != "accepted"
