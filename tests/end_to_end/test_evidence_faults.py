"""Faults of plans, learning, labels, splits and sensors in the real path: none of them is accepted, and the criterion
that is meant says why."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from verdicts import failed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
JUDGED = ("acceptance.plan.rivals=[standing still]", "acceptance.plan.min_scenes=8", "acceptance.loss.policy=off")


# ---- labels and futures


def _table(workspace: Path) -> Path:
    (folder,) = (path for path in (workspace / "labels").iterdir() if not path.name.startswith("."))
    return folder


def shuffled_rows(workspace, monkeypatch):
    file = _table(workspace) / "index.json"
    index = json.loads(file.read_text())
    index["tokens"] = [*index["tokens"][3:], *index["tokens"][:3]]
    file.write_text(json.dumps(index))


def constant_rows(workspace, monkeypatch):
    for name in ("flags", "progress"):
        file = _table(workspace) / f"{name}.npy"
        values = np.load(file)
        np.save(file, np.broadcast_to(values[:1, :1], values.shape).copy())


def worthless_rows(workspace, monkeypatch):
    for name in ("flags", "progress"):
        file = _table(workspace) / f"{name}.npy"
        values = np.load(file)
        if name == "flags":
            values &= 0b11011  # no anchor stays on the road
        np.save(file, values)


def shuffled_futures(workspace, monkeypatch):
    from wotempo.data.target_cache import TargetCache

    original = TargetCache.reader
    monkeypatch.setattr(TargetCache, "reader", lambda self, scenes: original(self, [*scenes[5:], *scenes[:5]]))


# ---- splits


def validate_on_training(workspace, monkeypatch):
    from wotempo.datasets.town import Town

    original = Town.logs
    monkeypatch.setattr(Town, "logs", lambda self, paths, split: original(self, paths, split.replace("val", "train")))


def a_scene_twice(workspace, monkeypatch):
    import wotempo.preparation.prepare as prepare

    original = prepare.split_scenes

    def scenes(dataset, paths, split, progress):
        found = original(dataset, paths, split, progress)
        return [*found, found[0]] if split == "train" else found

    monkeypatch.setattr(prepare, "split_scenes", scenes)


# ---- learning


def an_average_that_is_never_updated(workspace, monkeypatch):
    from wotempo.training.averaging import RunningAverage

    monkeypatch.setattr(RunningAverage, "should_update", lambda self, step_idx=None, epoch_idx=None: False)


def decaying_factors(workspace, monkeypatch):
    import wotempo.training.optimiser as optimiser
    from wotempo.training.module import LitPlanner

    original = LitPlanner.training_step
    monkeypatch.setattr(optimiser, "schedule_factor", lambda step, total, config: 1e-6)
    monkeypatch.setattr(
        LitPlanner, "training_step", lambda self, batch, i: original(self, batch, i) * 0.97**self.global_step
    )


def half_an_optimiser(workspace, monkeypatch):
    import wotempo.training.optimiser as optimiser

    original = optimiser.parameter_groups
    monkeypatch.setattr(optimiser, "parameter_groups", lambda model, config: original(model, config)[:1])


def frozen_but_the_map(workspace, monkeypatch):
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.build.__func__

    def build(cls, *arguments):
        model = original(cls, *arguments)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("bev_semantic_head"))
        return model

    monkeypatch.setattr(WoTE, "build", classmethod(build))


def no_gradient_for_the_stage(workspace, monkeypatch):
    from wotempo.training.module import LitPlanner

    def after(self):
        for parameter in self.model.fusion.parameters():
            if self.global_step >= 8 and parameter.grad is not None:
                parameter.grad.zero_()

    monkeypatch.setattr(LitPlanner, "on_after_backward", after)


# ---- plans


def always_the_same_anchor(workspace, monkeypatch):
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.select

    def select(self, fused, status):
        out = original(self, fused, status)
        return {**out, "trajectory": self.trajectory_anchors[:1].expand_as(out["trajectory"])}

    monkeypatch.setattr(WoTE, "select", select)


def training_mode_in_validation(workspace, monkeypatch):
    from wotempo.training.module import LitPlanner

    monkeypatch.setattr(LitPlanner, "on_validation_batch_start", lambda self, *_: self.model.train())


def a_metric_that_is_nan(workspace, monkeypatch):
    from wotempo.planners.metrics import PlanMetrics

    original = PlanMetrics.compute
    monkeypatch.setattr(PlanMetrics, "compute", lambda self: {**original(self), "val/ade": torch.tensor(torch.nan)})


# ---- sensors


def in_every_batch(monkeypatch, change):
    from wotempo.data.collate import WindowCollator

    original = WindowCollator.__call__

    def call(self, items):
        batch = original(self, items)
        change(batch)
        return batch

    monkeypatch.setattr(WindowCollator, "__call__", call)


def black_cameras(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["camera"].zero_())


def a_camera_twice(workspace, monkeypatch):
    width = round(256 * 1088 / 4096)
    in_every_batch(monkeypatch, lambda batch: batch["camera"][..., -width:].copy_(batch["camera"][..., :width]))


def the_future_in_the_status(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["status"][:, 6:].copy_(batch["trajectory"][:, -1, :2]))


def late_sensors(workspace, monkeypatch):
    from wotempo.data.frame_cache import FrameCache

    original = FrameCache.reader
    monkeypatch.setattr(FrameCache, "reader", lambda self, refs: original(self, [refs[0], *refs[:-1]]))


def headings_of_the_other_sign(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["pose"].mul_(torch.tensor([1.0, 1.0, -1.0])))


def a_spike(workspace, monkeypatch):
    from wotempo.training.module import LitPlanner

    original = LitPlanner.training_step

    def step(self, batch, batch_idx):
        if self.global_step == 3:
            held = np.ones(10**9, np.uint8)
            del held
        return original(self, batch, batch_idx)

    monkeypatch.setattr(LitPlanner, "training_step", step)


FAULTS = [
    ("labels", 24, shuffled_rows, ()),
    ("labels", 24, constant_rows, ()),
    ("labels", 24, worthless_rows, ()),
    ("labels", 24, shuffled_futures, ()),
    ("splits", 23, validate_on_training, ()),
    ("splits", 23, a_scene_twice, ()),
    ("learning", 26, an_average_that_is_never_updated, ("trainer.ema=0.9",)),
    ("learning", 26, decaying_factors, ()),
    ("learning", 26, half_an_optimiser, ()),
    ("learning", 26, frozen_but_the_map, ("experiment=baseline_1epoch",)),
    ("learning", 26, no_gradient_for_the_stage, ("acceptance.learning.patience=4",)),
    ("plan", 27, always_the_same_anchor, ()),
    ("plan", 27, training_mode_in_validation, ("model.dropout=0.3",)),
    ("finite", 10, a_metric_that_is_nan, ()),
    ("sensors", 25, black_cameras, ()),
    ("sensors", 25, a_camera_twice, ()),
    ("sensors", 25, the_future_in_the_status, ()),
    ("sensors", 25, late_sensors, ("acceptance.history.policy=off",)),
    ("ego_motion", 17, headings_of_the_other_sign, ("acceptance.warp_gain.policy=off",)),
]


@pytest.mark.parametrize(
    ("criterion", "exit_code", "fault", "overrides"), FAULTS, ids=[fault.__name__ for _, _, fault, _ in FAULTS]
)
def test_no_garbage_is_accepted(criterion, exit_code, fault, overrides, workspace, train, monkeypatch, tmp_path):
    own = shutil.copytree(workspace, tmp_path / "workspace")
    fault(own, monkeypatch)
    experiment = () if any(word.startswith("experiment=") for word in overrides) else ("experiment=convgru_1epoch",)
    code, verdict = train(*experiment, *JUDGED, f"workspace={own}", *overrides)
    assert criterion in failed(verdict), verdict["reason"]
    assert code == verdict["exit_code"] == exit_code, verdict["reason"]
    assert verdict["status"] == "rejected"


def test_a_spike_between_two_samples_is_seen(train, monkeypatch):
    from callbacks.criteria.memory import tree_bytes

    a_spike(None, monkeypatch)
    ceiling = tree_bytes(os.getpid()) / 1e9 + 0.7
    code, verdict = train("experiment=convgru_1epoch", f"acceptance.memory.ceiling_gb={ceiling:.2f}")
    assert code == 11, verdict["reason"]
    assert failed(verdict) == {"memory"}
