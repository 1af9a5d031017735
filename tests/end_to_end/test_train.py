"""The whole way: town, anchors, labels, caches, one run, one verdict, one exit code."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from verdicts import failed, statuses

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
UNASKED = {"budget", "history_pays"}  # no budget is set, and the second is for twin scenes
TEMPORAL = ("history", "ego_motion", "warp_gain", "gradient_flow")


def test_a_convgru_run_passes_all_criteria(train):
    code, verdict = train("experiment=convgru_1epoch", "trainer.max_epochs=3")
    assert code == 0, verdict
    assert verdict["status"] == "accepted"
    assert {name for name, status in statuses(verdict).items() if status != "pass"} == UNASKED
    assert len(verdict["criteria"]) == 19
    assert verdict["facts"]["note"].startswith("town data")
    metrics = json.loads((verdict["run_dir"] / "metrics.json").read_text())
    assert np.isfinite(metrics["val/ade"])
    assert metrics["history/output_change"] == pytest.approx(metrics["history/residual_norm"])
    assert metrics["history/plan_change_m"] > 0
    assert all(0 < metrics[f"history/{gate}_{k}"] < 1 for gate in "zr" for k in range(4))
    assert sum(metrics[f"history/grad_share_{k}"] for k in range(4)) == pytest.approx(1, abs=1e-3)
    assert f"the map changes by {metrics['history/output_change']:.1%}" in verdict["facts"]["history"]
    assert "- history: without it" in (verdict["run_dir"] / "verdict.md").read_text()
    checkpoint = torch.load(verdict["run_dir"] / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["model"]["mode"] == "fixed"


def test_a_single_frame_run_passes_and_skips_what_is_about_history(train):
    code, verdict = train("experiment=baseline_1epoch", "trainer.max_epochs=3")
    assert code == 0, verdict
    found = statuses(verdict)
    assert [found[name] for name in TEMPORAL] == ["skipped"] * 4
    assert "history" not in verdict["facts"]
    assert "history/" not in (verdict["run_dir"] / "metrics.json").read_text()
    assert {status for name, status in found.items() if name not in {*TEMPORAL, *UNASKED}} == {"pass"}


def test_a_temporal_run_starts_from_a_single_frame_checkpoint(train):
    _, single = train("experiment=baseline_1epoch", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = single["run_dir"] / "checkpoints" / "last.ckpt"
    code, verdict = train(
        "experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1", f"init_from={checkpoint}"
    )
    assert code == 0, verdict
    assert verdict["facts"]["init_from"]["tensors"] > 100


def test_the_running_average_is_what_is_saved(train):
    code, verdict = train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1", "trainer.ema=0.9")
    assert code == 0, verdict
    checkpoint = torch.load(verdict["run_dir"] / "checkpoints" / "last.ckpt", weights_only=True)
    averaged, last = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert averaged.keys() == last.keys()
    assert not torch.equal(averaged["model.reward_head.0.weight"], last["model.reward_head.0.weight"])


def test_a_checkpoint_of_the_other_layout_is_refused(train):
    from wotempo.errors import UserError

    _, single = train("experiment=baseline_1epoch", "profile=smoke", "trainer.max_epochs=1", "model.mode=compat")
    checkpoint = single["run_dir"] / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match="compat"):
        train("experiment=convgru_1epoch", "profile=smoke", f"init_from={checkpoint}")


def test_a_second_run_re_uses_town_labels_and_cache(train, workspace):
    train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1")
    before = {p: p.stat().st_mtime_ns for p in workspace.rglob("*") if p.is_file()}
    train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1")
    after = {p: p.stat().st_mtime_ns for p in workspace.rglob("*") if p.is_file()}
    assert before == after


def test_equal_seeds_give_equal_losses(train):
    import csv

    def losses(verdict):
        with (verdict["run_dir"] / "metrics" / "metrics.csv").open() as file:
            return [row["train/loss"] for row in csv.DictReader(file) if row.get("train/loss")]

    runs = [train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1")[1] for _ in range(2)]
    assert losses(runs[0]) == losses(runs[1]) != []


def test_the_folder_of_another_run_is_refused(train):
    from wotempo.errors import UserError

    _, verdict = train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1")
    with pytest.raises(UserError, match="another run"):
        train("experiment=convgru_1epoch", f"run_dir={verdict['run_dir']}")
    assert failed(verdict) == set()
