"""Anchors and the score table that belongs to them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from score_tables import write_score_table

from wotempo.errors import UserError
from wotempo.navsim import ScoreTable, fingerprint, read_anchors, write_anchors

ANCHORS = np.random.default_rng(0).normal(size=(7, 8, 3)).astype(np.float32)
TOKENS = ["aa", "bb", "cc", "dd"]


def random_scores(seed: int = 0) -> np.ndarray:
    """(4, 5, 7): every combination of values occurs."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 2, (4, 5, 7)).astype(np.float64)
    scores[:, 0] = rng.integers(0, 3, (4, 7)) / 2
    scores[:, 2] = rng.random((4, 7))
    return scores


def test_anchors_survive(tmp_path: Path):
    write_anchors(tmp_path / "a.npy", ANCHORS.astype(np.float64))
    read = read_anchors(tmp_path / "a.npy")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, ANCHORS)


def test_a_wrong_anchor_file_is_named(tmp_path: Path):
    path = tmp_path / "a.npy"
    cases = [(ANCHORS[:, :6], r"shape \(N, 8, 3\), found \(7, 6, 3\)"), (ANCHORS[:0], "holds no anchors")]
    cases += [(np.where(ANCHORS > 1, np.nan, ANCHORS), "not finite"), (np.array([{}], object), "cannot be read")]
    for content, match in cases:
        np.save(path, content, allow_pickle=True)
        with pytest.raises(UserError, match=rf"a\.npy: .*{match}"):
            read_anchors(path)
    np.save(path, ANCHORS)
    for data in (path.read_bytes()[:-1], path.read_bytes()[:50], b"", b"nonsense"):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"a\.npy: cannot be read"):
            read_anchors(path)
    with pytest.raises(UserError, match=r"none\.npy: cannot be read"):
        read_anchors(tmp_path / "none.npy")


def test_the_fingerprint_changes_with_any_value_and_the_shape():
    reference = fingerprint(ANCHORS)
    assert reference == fingerprint(ANCHORS.astype(np.float64)) == fingerprint(np.asfortranarray(ANCHORS))
    assert len(reference) == 16
    assert int(reference, 16) >= 0
    changed = ANCHORS.copy()
    changed[3, 2, 1] = np.nextafter(changed[3, 2, 1], np.float32(np.inf))
    others = {fingerprint(changed), fingerprint(ANCHORS[::-1]), fingerprint(ANCHORS.reshape(8, 7, 3)), reference}
    assert len(others) == 4


def test_the_fingerprint_is_the_same_everywhere():
    """Labels travel between machines; the value was computed from struct.pack and hashlib alone."""
    assert fingerprint(np.arange(24, dtype=np.float32).reshape(1, 8, 3)) == "230efe3e083f4326"


def test_scores_survive(tmp_path: Path):
    scores = random_scores()
    write_score_table(tmp_path / "s", TOKENS, scores, fingerprint(ANCHORS), "1.1")
    table = ScoreTable.open(tmp_path / "s")
    assert (len(table), "bb" in table, "xx" in table, table.scorer_version) == (4, True, False, "1.1")
    for row, token in enumerate(TOKENS):
        read = table.scores(token)
        assert (read.shape, read.dtype) == ((5, 7), np.float32)
        np.testing.assert_array_equal(np.delete(read, 2, 0), np.delete(scores[row], 2, 0))
        np.testing.assert_allclose(read[2], scores[row, 2], atol=2**-11)
    assert isinstance(table.flags, np.memmap)


def test_the_bits_are_the_documented_ones(tmp_path: Path):
    scores = np.zeros((1, 5, 6))
    scores[0, 0] = [0, 0.5, 1, 0, 0, 0]  # NC
    scores[0, 1, 3] = scores[0, 3, 4] = scores[0, 4, 5] = 1  # DAC, TTC, C
    write_score_table(tmp_path / "s", ["a"], scores, "f", "1")
    np.testing.assert_array_equal(np.load(tmp_path / "s/flags.npy"), [[0, 1, 2, 4, 8, 16]])
    assert np.load(tmp_path / "s/progress.npy").dtype == np.float16
    assert json.loads((tmp_path / "s/index.json").read_text())["tokens"] == ["a"]


def test_labels_of_other_anchors_are_refused(tmp_path: Path):
    write_score_table(tmp_path / "s", TOKENS, random_scores(), fingerprint(ANCHORS), "1.1")
    table = ScoreTable.open(tmp_path / "s")
    table.require_anchors(ANCHORS)
    with pytest.raises(UserError, match="labels were made for anchors"):
        table.require_anchors(ANCHORS + 1)
    with pytest.raises(UserError, match="no labels for scene xx"):
        table.scores("xx")


def test_a_second_table_replaces_the_first(tmp_path: Path):
    write_score_table(tmp_path / "s", TOKENS, random_scores(0), "f", "1")
    write_score_table(tmp_path / "s", TOKENS[:2], random_scores(1)[:2], "g", "2")
    table = ScoreTable.open(tmp_path / "s")
    assert (len(table), table.anchors_fingerprint) == (2, "g")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("metric", "value", "match"),
    [
        (0, 0.25, "NC must be"),
        (1, 0.5, "must be 0 or 1"),
        (2, 1.5, "progress"),
        (2, np.nan, "progress"),
        (4, -1, "0 or 1"),
    ],
)
def test_impossible_scores_are_refused(tmp_path: Path, metric: int, value: float, match: str):
    scores = random_scores()
    scores[1, metric, 3] = value
    with pytest.raises(ValueError, match=match):
        write_score_table(tmp_path / "s", TOKENS, scores, "f", "1")
    with pytest.raises(ValueError, match="once each"):
        write_score_table(tmp_path / "s", ["a", "a", "b", "c"], random_scores(), "f", "1")


def test_an_incomplete_table_is_named(tmp_path: Path):
    folder = tmp_path / "s"
    write_score_table(folder, TOKENS, random_scores(), "f", "1")
    for name in ("flags.npy", "progress.npy", "index.json"):
        data = (folder / name).read_bytes()
        for damaged in (data[:-3], b"", None):
            if damaged is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(damaged)
            with pytest.raises(UserError, match=r"s: not a complete score table"):
                ScoreTable.open(folder)
        (folder / name).write_bytes(data)
    np.save(folder / "flags.npy", np.zeros((3, 7), np.uint8))
    with pytest.raises(UserError, match="disagree in size"):
        ScoreTable.open(folder)
