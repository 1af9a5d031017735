from __future__ import annotations

import numpy as np
import pytest
from score_tables import write_score_table

from wotempo.errors import UserError
from wotempo.navsim.anchors import fingerprint
from wotempo.targets import open_labels, sampled_anchors


def test_draw_depends_on_token_epoch_and_seed_only():
    draws = {
        (token, epoch, seed): int(sampled_anchors(token, epoch, 256, 1, seed)[0])
        for token in ("a", "b", "c", "d")
        for epoch in range(4)
        for seed in range(2)
    }
    again = {key: int(sampled_anchors(key[0], key[1], 256, 1, key[2])[0]) for key in reversed(draws)}
    assert draws == again
    assert len(set(draws.values())) > 20


@pytest.mark.parametrize("count", [1, 3])
def test_draw_is_uniform_and_distinct(count):
    drawn = np.stack([sampled_anchors(f"{i:016x}", 0, 16, count) for i in range(4000)])
    assert drawn.shape == (4000, count)
    assert drawn.dtype == np.int64
    assert all(len(set(row)) == count for row in drawn.tolist())
    expected = drawn.size / 16
    chi_square = ((np.bincount(drawn.ravel(), minlength=16) - expected) ** 2 / expected).sum()
    assert chi_square < 37.7  # 0.1 % point of 15 degrees of freedom


def test_labels_of_other_anchors_and_missing_scenes_are_refused(tmp_path):
    anchors = np.random.default_rng(0).normal(size=(6, 8, 3)).astype(np.float32)
    tokens = [f"{i:016x}" for i in range(3)]
    write_score_table(tmp_path / "labels", tokens, np.ones((3, 5, 6)), fingerprint(anchors), "test")
    table = open_labels(tmp_path / "labels", anchors, tokens)
    assert table.scores(tokens[0]).shape == (5, 6)
    with pytest.raises(UserError, match="labels were made for anchors"):
        open_labels(tmp_path / "labels", anchors[::-1], tokens)
    with pytest.raises(UserError, match="2 of 5 scenes"):
        open_labels(tmp_path / "labels", anchors, [*tokens, "x", "y"])
