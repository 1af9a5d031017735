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
from wotempo.navsim.submission import Team, read_plans, write_plans, write_submission

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


PLANS = {f"{k:016x}": np.random.default_rng(k).normal(size=(8, 3)).astype(np.float32) for k in range(3)}


def test_a_plan_that_is_not_finite_costs_its_token(tmp_path):
    broken = write_submission(tmp_path / "submission.pkl", TEAM, {**PLANS, "bad": np.full((8, 3), np.inf)})
    assert broken == ["bad"]
    assert read_plans(tmp_path / "submission.pkl").keys() == PLANS.keys()


@pytest.mark.parametrize("name", ["plans.npz", "submission.pkl"])
def test_what_was_planned_is_read_again(tmp_path, name):
    file = tmp_path / name
    if name == "plans.npz":
        write_plans(file, PLANS)
    else:
        write_submission(file, TEAM, PLANS)
    found = read_plans(file)
    assert found.keys() == PLANS.keys()
    for token, plan in PLANS.items():
        np.testing.assert_array_equal(found[token], plan)


def test_a_file_of_other_things_is_named(tmp_path):
    class Attack:
        def __reduce__(self):
            return (print, ("ran",))

    contents = {
        "no submission": pickle.dumps([1, 2]),
        "lacks 'predictions'": pickle.dumps({"team_name": "x"}),
        "print": pickle.dumps({"predictions": [Attack()]}),
        "corrupt|empty|cannot": b"nonsense",
    }
    for says, data in contents.items():
        (tmp_path / "f.pkl").write_bytes(data)
        with pytest.raises(UserError, match=rf"f\.pkl: .*({says})"):
            read_plans(tmp_path / "f.pkl")
    tokens, poses = np.array(list(PLANS)), np.stack(list(PLANS.values()))
    for says, arrays in {
        "poses": {"tokens": tokens},
        "one for each of 3 tokens": {"tokens": tokens, "poses": poses[:2]},
        "texts": {"tokens": np.arange(3), "poses": poses},
        "two plans": {"tokens": tokens[[0, 0, 1]], "poses": poses},
        "holds no plans": {"tokens": tokens[:0], "poses": poses[:0]},
    }.items():
        np.savez(tmp_path / "f.npz", **arrays)
        with pytest.raises(UserError, match=rf"f\.npz: .*{says}"):
            read_plans(tmp_path / "f.npz")
    whole = (tmp_path / "f.npz").read_bytes()
    (tmp_path / "f.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"f\.npz: "):
        read_plans(tmp_path / "f.npz")


def test_an_archive_that_unpacks_to_gigabytes_is_refused_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr("wotempo.navsim.arrays.LARGEST_MEMBER", 1000)
    np.savez_compressed(tmp_path / "f.npz", tokens=np.array(["a"]), poses=np.zeros((1, 8, 3000), np.float32))
    with pytest.raises(UserError, match=r"f\.npz: .*unpacks to"):
        read_plans(tmp_path / "f.npz")
