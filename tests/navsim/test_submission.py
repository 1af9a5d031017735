"""The submission file names the official classes and holds plain arrays."""

from __future__ import annotations

import pickle
import pickletools
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest

from wotempo.errors import UserError
from wotempo.navsim.submission import Team, write_submission

TEAM = Team("name", ["A", "B"], "a@b.c", "institution", "country")


@dataclass
class Trajectory:
    poses: np.ndarray
    trajectory_sampling: object


@dataclass
class TrajectorySampling:
    num_poses: int
    time_horizon: float
    interval_length: float


@pytest.fixture
def devkit(monkeypatch):
    """Modules under the official names that hold stand-ins of the two classes."""
    for name, member in (
        ("navsim.common.dataclasses", Trajectory),
        ("nuplan.planning.simulation.trajectory.trajectory_sampling", TrajectorySampling),
    ):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        setattr(sys.modules[name], member.__name__, member)


def test_the_devkit_reads_what_was_planned(devkit, tmp_path):
    plans = {f"{k:016x}": np.random.default_rng(k).normal(size=(8, 3)) for k in range(3)}
    write_submission(tmp_path / "submission.pkl", TEAM, plans)
    content = pickle.loads((tmp_path / "submission.pkl").read_bytes())
    (predictions,) = content.pop("predictions")
    assert content == {
        "team_name": "name", "authors": ["A", "B"], "email": "a@b.c", "institution": "institution",
        "country / region": "country",
    }  # fmt: skip
    assert predictions.keys() == plans.keys()
    for token, plan in plans.items():
        got = predictions[token]
        assert isinstance(got, Trajectory)
        assert got.poses.dtype == np.float32
        np.testing.assert_array_equal(got.poses, plan.astype(np.float32))
        assert got.trajectory_sampling == TrajectorySampling(8, 4.0, 0.5)


def test_only_the_official_names_are_in_the_file(tmp_path):
    write_submission(tmp_path / "submission.pkl", TEAM, {"0" * 16: np.zeros((8, 3))})
    strings = [
        arg for _, arg, _ in pickletools.genops((tmp_path / "submission.pkl").read_bytes()) if isinstance(arg, str)
    ]
    modules = {text for text in strings if "." in text and "@" not in text}
    assert not any(text.startswith("wotempo") for text in strings)
    assert "navsim.common.dataclasses" in modules
    assert not any("numpy._core" in text for text in strings), "numpy 1.23 has no such module"


@pytest.mark.parametrize("missing", ["name", "authors", "email", "institution", "country"])
def test_an_incomplete_team_is_refused(tmp_path, missing):
    team = Team(**{**vars(TEAM), missing: [] if missing == "authors" else ""})
    with pytest.raises(UserError, match=f"team.{missing}"):
        write_submission(tmp_path / "submission.pkl", team, {"0" * 16: np.zeros((8, 3))})


def test_a_plan_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(UserError, match="first: bad"):
        write_submission(tmp_path / "submission.pkl", TEAM, {"bad": np.full((8, 3), np.nan)})
    assert not (tmp_path / "submission.pkl").exists()
