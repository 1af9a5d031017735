"""Saved weights are held against those of the start, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from test_acceptance_plan import planned
from toy_evidence import InformedModule, ToyData
from toy_run import ToyModule, judge, statuses, toy_trainer

from callbacks import LearningGuard
from callbacks.measures.movement import declared, groups_of, moved, sketch


def test_groups_are_modules_below_what_all_share():
    names = ["model.a.x.weight", "model.a.bias", "model.b.weight"]
    assert groups_of(names) == {"model.a": ["model.a.x.weight", "model.a.bias"], "model.b": ["model.b.weight"]}
    assert groups_of(["encoder.weight", "head.weight"]) == {"encoder": ["encoder.weight"], "head": ["head.weight"]}
    assert groups_of([]) == {}


def test_decay_alone_is_no_movement():
    weight = {"w": torch.randn(8, 100), "one": torch.tensor([2.0])}
    before = sketch(weight)
    decayed = sketch({name: 0.9 * value for name, value in weight.items()})
    learnt = sketch({"w": weight["w"] + 0.01 * torch.randn(8, 100), "one": weight["one"]})
    groups = {"w": [0], "one": [1]}
    assert moved(before, decayed, groups)["w"] < 1e-6
    assert moved(before, decayed, groups)["one"] == pytest.approx(0.1, rel=1e-5)  # it has no other direction
    assert moved(before, learnt, groups)["w"] == pytest.approx(0.01, rel=0.4)


def test_what_is_declared():
    assert declared("model.fusion.gru.weight", {"model.fusion": "rate 0"})
    assert not declared("model.fusion_head.weight", {"model.fusion": "rate 0"})


def learnt(folder: Path, module: InformedModule, **trainer: object) -> LearningGuard:
    """The guard at the end of a run of ``module`` that saves its last weights."""
    guard = LearningGuard(every=2)
    toy_trainer(folder, guard, ModelCheckpoint(folder, save_last=True), **trainer).fit(module, datamodule=ToyData())
    return guard


def test_one_step_has_no_second_half(tmp_path):
    torch.manual_seed(0)
    guard = learnt(tmp_path, InformedModule(), max_epochs=1, limit_train_batches=1)
    assert guard.memory["middle_step"] == 1
    assert guard.details["moved_in_the_second_half"] == {}
    assert guard.status == "pass" or "are needed to tell" in guard.message, guard.message


def test_a_declared_stage_may_rest(tmp_path):
    class Resting(InformedModule):
        def __init__(self, frames: int = 4) -> None:
            super().__init__(frames)
            self.fusion.requires_grad_(False)
            self.frozen = {"fusion": "the experiment trains the rest"}

    torch.manual_seed(0)
    guard = learnt(tmp_path, Resting())
    assert guard.status == "pass", guard.message
    assert set(guard.details["moved"]) == {"encoder", "head"}


def test_nothing_saved_is_open(tmp_path):
    guard, _ = planned(tmp_path, LearningGuard())
    assert guard.status == "inconclusive"


def test_without_hooks_it_is_skipped(tmp_path):
    report, _ = judge(tmp_path, ToyModule(), guards=[LearningGuard()])
    assert statuses(report) == {"learning": "skipped"}
