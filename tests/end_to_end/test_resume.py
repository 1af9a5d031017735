"""An interrupted and resumed run is the uninterrupted one: batches, losses, weights."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from verdicts import as_if_killed

from wotempo.training.module import LitPlanner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
RUN = ("experiment=convgru_1epoch", "trainer.max_epochs=2", "trainer.ema=0.9", "trainer.checkpoint_every_n_steps=3",
       "fusion.frame_dropout=0.3", "acceptance.loss.allow_inconclusive=true")  # fmt: skip


class Boom(RuntimeError):
    pass


def record_steps(monkeypatch, stop_at: int | None = None) -> dict[int, tuple]:
    """step -> (loss, tokens) of every training step; raises before ``stop_at``."""
    steps: dict[int, tuple] = {}
    plain = LitPlanner.training_step

    def step(self, batch, batch_idx):
        if self.global_step == stop_at:
            raise Boom
        loss = plain(self, batch, batch_idx)
        steps[self.global_step] = (float(loss), tuple(batch["tokens"]))
        return loss

    monkeypatch.setattr(LitPlanner, "training_step", step)
    return steps


def weights(verdict):
    last = torch.load(verdict["run_dir"] / "checkpoints" / "last.ckpt", weights_only=True)
    return {**last["state_dict"], **{f"current.{k}": v for k, v in last["current_model_state"].items()}}


def logged_steps(verdict) -> list[int]:
    with (verdict["run_dir"] / "metrics" / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row.get("train/loss")]


def assert_same(whole, parts, verdict, resumed) -> None:
    assert sorted(parts) == sorted(whole)
    for step, (loss, tokens) in whole.items():
        assert parts[step][1] == tokens, step
        assert parts[step][0] == pytest.approx(loss, abs=1e-6), step
    expected, found = weights(verdict), weights(resumed)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    assert logged_steps(resumed) == sorted(whole)
    for one, other in zip(verdict["criteria"], resumed["criteria"], strict=True):
        if one["name"] not in ("loader", "budget"):  # clocks: of an attempt, not of the run
            assert one["status"] == other["status"], one["name"]
        if one["name"] in ("loss", "finite", "history", "ego_motion", "complete"):
            assert one["measured"] == other["measured"], one["name"]
            assert one["details"] == other["details"], one["name"]


@pytest.fixture
def whole(train, monkeypatch):
    """The uninterrupted run: (its steps, its verdict)."""
    with monkeypatch.context() as patch:
        steps = record_steps(patch)
        code, verdict = train(*RUN)
    assert code == 0, verdict
    return steps, verdict


def test_exceptions_torn_files_and_a_kill_behind_the_last_step(train, whole, tmp_path, monkeypatch):
    steps, verdict = whole
    per_epoch = len(steps) // 2
    folder = f"run_dir={tmp_path}/again"
    parts: dict[int, tuple] = {}

    def attempt(stop_at=None):
        with monkeypatch.context() as patch:
            seen = record_steps(patch, stop_at)
            code, found = train(*RUN, folder)
        parts.update(seen)
        return code, found, min(seen, default=None)

    attempt(5)  # in the middle of the first epoch
    checkpoints = tmp_path / "again" / "checkpoints"
    assert [p.name for p in checkpoints.iterdir()] == ["step-3.ckpt"]

    with monkeypatch.context() as patch:  # inside a write: half a file, under a name that nobody loads

        def half(checkpoint, file):
            file.write(b"half")
            raise Boom

        patch.setattr("wotempo.training.checkpoints.torch.save", half)
        _, found, first = attempt()
    assert first == 3
    assert found["facts"]["resumed"][0]["step"] == 3

    _, _, first = attempt(per_epoch + 5)  # in the middle of the second epoch
    assert first == 3
    torn = max(checkpoints.glob("step-*.ckpt"), key=lambda p: int(p.stem[5:]))
    torn.write_bytes(torn.read_bytes()[:1000])
    code, found, _ = attempt()
    assert code == 0, found
    assert "does not load" in found["facts"]["resumed"][-1]["damaged"][0]
    assert_same(steps, parts, verdict, found)
    assert sorted(p.name for p in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]

    metrics = json.loads((found["run_dir"] / "metrics.json").read_text())
    history = found["facts"]["history"]
    as_if_killed(found["run_dir"])
    code, found, first = attempt()  # killed behind the last step: judged, not trained
    assert (code, first) == (0, None)
    again = json.loads((found["run_dir"] / "metrics.json").read_text())
    assert again["val/ade"] == metrics["val/ade"]
    assert found["facts"]["history"] == history
