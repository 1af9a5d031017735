"""A score table from plain scores, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wotempo.navsim.scores import pack_scores, write_packed_table


def write_score_table(path: Path, tokens: Sequence[str], scores: np.ndarray, fingerprint: str, version: str) -> None:
    """scores (n, 5, N) of n scenes, in the order NC, DAC, EP, TTC, C."""
    write_packed_table(path, tokens, *pack_scores(np.asarray(scores)), fingerprint, version)
