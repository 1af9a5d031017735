"""Opening the simulated scores of the anchors, with the checks that keep wrong labels out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.scores import ScoreTable


def open_labels(path: Path, anchors: np.ndarray, tokens: Sequence[str]) -> ScoreTable:
    """The score table in the folder ``path``, proven to belong to ``anchors`` (N, 8, 3) and to cover ``tokens``.

    Raises UserError when the table scored other anchors (their order counts) or lacks tokens.
    """
    table = ScoreTable.open(Path(path))
    table.require_anchors(anchors)
    if unfit := [token for token in tokens if token in table.invalid]:
        raise UserError(
            f"{path}: {len(unfit)} of {len(tokens)} scenes could not be scored, leave them out; "
            f"first {unfit[0]}: {table.invalid[unfit[0]]}"
        )
    missing = [token for token in tokens if token not in table]
    if missing:
        raise UserError(
            f"{path}: no labels for {len(missing)} of {len(tokens)} scenes, first {missing[0]}; "
            "run the label command over the same scenes"
        )
    return table
