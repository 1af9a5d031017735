"""WoTE's own label file, in and out."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from score_tables import write_score_table

from wotempo.errors import UserError
from wotempo.navsim import ScoreTable, fingerprint
from wotempo.pdm.labels.community_file import COMMUNITY_SCORER, export_community_file, import_community_file

ANCHORS = np.random.default_rng(0).normal(size=(7, 8, 3)).astype(np.float32)
READ = [
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "comfort",
]


def community_entry(seed: int) -> dict:
    """As the public script writes it: seven sub-scores of float64."""
    rng = np.random.default_rng(seed)
    entry = {key: rng.integers(0, 2, 7).astype(np.float64) for key in (*READ, "driving_direction_compliance", "score")}
    entry["no_at_fault_collisions"] = rng.integers(0, 3, 7) / 2
    entry["ego_progress"] = rng.random(7)
    return {"valid": True, "trajectory_scores": [entry]}


@pytest.fixture
def content() -> dict:
    return {"aa": community_entry(1), "bb": {"valid": False, "trajectory_scores": []}, "cc": community_entry(2)}


def save(path: Path, content) -> Path:
    np.save(path, content, allow_pickle=True)
    return path


def test_import(content, tmp_path):
    table = import_community_file(save(tmp_path / "f.npy", content), ANCHORS, tmp_path / "labels")
    table.require_anchors(ANCHORS)
    assert (list(table.rows), list(table.invalid), table.scorer_version) == (["aa", "cc"], ["bb"], COMMUNITY_SCORER)
    for token in table.rows:
        truth = np.stack([content[token]["trajectory_scores"][0][key] for key in READ])
        np.testing.assert_allclose(table.scores(token), truth, atol=2**-11)
        np.testing.assert_array_equal(np.delete(table.scores(token), 2, 0), np.delete(truth, 2, 0))


def test_the_export_reads_as_the_public_loader_reads_it(content, tmp_path):
    table = import_community_file(save(tmp_path / "f.npy", content), ANCHORS, tmp_path / "labels")
    export_community_file(table, tmp_path / "out.npy")
    read = np.load(tmp_path / "out.npy", allow_pickle=True).item()
    assert read["bb"] == {"valid": False, "trajectory_scores": []}
    for token in ("aa", "cc"):
        assert read[token]["valid"] is True
        scores = read[token]["trajectory_scores"][0]
        assert {(values.shape, values.dtype.str) for values in scores.values()} == {((7,), "<f8")}
        np.testing.assert_array_equal(np.stack([scores[key] for key in READ]).astype(np.float32), table.scores(token))
        nc, dac, ep, ttc, comfort = (scores[key] for key in READ)
        np.testing.assert_allclose(scores["score"], nc * dac * (5 * ep + 5 * ttc + 2 * comfort) / 12)
    assert b"numpy._core" not in (tmp_path / "out.npy").read_bytes(), "the public code runs numpy 1"


def test_round_trip_changes_no_byte(tmp_path):
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 2, (3, 5, 7)).astype(np.float64)
    scores[:, 2] = rng.random((3, 7))
    write_score_table(tmp_path / "a", ["x", "y", "z"], scores, fingerprint(ANCHORS), COMMUNITY_SCORER)
    export_community_file(ScoreTable.open(tmp_path / "a"), tmp_path / "f.npy")
    import_community_file(tmp_path / "f.npy", ANCHORS, tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


class Attack:
    def __reduce__(self):
        return (print, ("ran",))


def test_a_wrong_file_is_named(content, tmp_path, capsys):
    score = content["cc"]["trajectory_scores"][0]
    beyond = score | {"ego_progress": score["score"] + 2}
    cases = {
        "not of the 6 anchors": (content, ANCHORS[:6]),
        "asks for builtins.print": ({"aa": Attack()}, ANCHORS),
        "token cc: lacks 'comfort'": ({"cc": {"trajectory_scores": [{**score}]}}, ANCHORS),
        "token cc: progress must lie": ({"cc": {"trajectory_scores": [beyond]}}, ANCHORS),
        "token cc: lacks 'trajectory_scores'": ({"cc": {"valid": True}}, ANCHORS),
        "no valid scores": ({}, ANCHORS),
        "no dict of tokens": ([1, 2, 3], ANCHORS),
    }  # fmt: skip
    del cases["token cc: lacks 'comfort'"][0]["cc"]["trajectory_scores"][0]["comfort"]
    for says, (wrong, anchors) in cases.items():
        array = np.empty((), object)
        array[()] = wrong
        with pytest.raises(UserError, match=rf"f\.npy: .*{says}"):
            import_community_file(save(tmp_path / "f.npy", array), anchors, tmp_path / "labels")
    assert "ran" not in capsys.readouterr().out
    assert not (tmp_path / "labels").exists()


def test_a_damaged_file_is_named(content, tmp_path):
    whole = save(tmp_path / "whole.npy", content).read_bytes()
    for data in (b"", b"nonsense", whole[:100], whole[:-20], pickle.dumps(content)):
        (tmp_path / "f.npy").write_bytes(data)
        with pytest.raises(UserError, match=r"f\.npy: "):
            import_community_file(tmp_path / "f.npy", ANCHORS, tmp_path / "labels")
    np.save(tmp_path / "f.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"f\.npy: .*float64"):
        import_community_file(tmp_path / "f.npy", ANCHORS, tmp_path / "labels")
