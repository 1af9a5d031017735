"""Faults in the real path: none of them is accepted, and the criterion that is meant says why. docs/real_faults.md is
what was seen here; with WOTEMPO_WRITE_PAGES=1 it is brought up to date."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from faults_of_data import DATA
from faults_of_models import MODEL
from faults_of_sensors import SENSORS
from verdicts import blamed, failed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
PAGE = Path(__file__).parents[2] / "docs" / "real_faults.md"
JUDGED = ("acceptance.plan.rivals=[standing still]", "acceptance.plan.min_scenes=8", "acceptance.loss.policy=off")
FAULTS = [*DATA, *MODEL, *SENSORS]
NAMES = [fault.__name__ for _, fault, _ in FAULTS]


WORDS = [name.replace("_", " ") for name in NAMES]


def found_by(verdict):
    return blamed(verdict["reason"], [criterion["name"] for criterion in verdict["criteria"]])


# The mean gain of these is near two standard errors after the first epoch: how a processor rounds the town's pictures
# decides whether that epoch's validation finds them or the last one's.
EITHER = {"side_cameras_swapped": (14, 42)}


def row_of(name, verdict):
    either = EITHER.get(name, (verdict["steps"],))
    assert verdict["steps"] in either
    steps = " or ".join(map(str, either))
    return f"| {name.replace('_', ' ')} | {found_by(verdict)} | {steps} | {verdict['exit_code']} |"


def written(row):
    """The page with that row, all rows in the order of the faults."""
    lines = PAGE.read_text().splitlines()
    head = [line for line in lines if not line.startswith("| ") or line.startswith("| fault ")]
    rows = {line.split("|")[1].strip(): line for line in [*lines, row] if line.startswith("| ")}
    return "\n".join([*head, *(rows[name] for name in WORDS if name in rows)]) + "\n"


@pytest.mark.parametrize(("criterion", "fault", "overrides"), FAULTS, ids=NAMES)
def test_no_garbage_is_accepted(criterion, fault, overrides, workspace, train, monkeypatch, tmp_path):
    own = shutil.copytree(workspace, tmp_path / "workspace")
    fault(own, monkeypatch)
    experiment = () if any(word.startswith("experiment=") for word in overrides) else ("experiment=convgru_1epoch",)
    code, verdict = train(*experiment, *JUDGED, f"workspace={own}", *overrides)
    assert criterion in failed(verdict), verdict["reason"]
    assert verdict["status"] == "rejected"
    assert found_by(verdict) == criterion, verdict["reason"]
    assert code == verdict["exit_code"] > 0
    row = row_of(fault.__name__, verdict)
    if os.environ.get("WOTEMPO_WRITE_PAGES"):
        PAGE.write_text(written(row))
    assert row in PAGE.read_text().splitlines()


def test_the_page_has_no_other_rows():
    rows = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert rows == ["fault", *WORDS]


def test_a_spike_between_two_samples_is_seen(train, monkeypatch):
    from callbacks.criteria.memory import tree_bytes
    from wotempo.training.module import LitPlanner

    original = LitPlanner.training_step

    def step(self, batch, batch_idx):
        if self.global_step == 3:
            held = np.ones(10**9, np.uint8)
            del held
        return original(self, batch, batch_idx)

    monkeypatch.setattr(LitPlanner, "training_step", step)
    ceiling = tree_bytes(os.getpid()) / 1e9 + 0.7
    code, verdict = train("experiment=convgru_1epoch", f"acceptance.memory.ceiling_gb={ceiling:.2f}")
    assert code == 11, verdict["reason"]
    assert failed(verdict) == {"memory"}
