"""The difference of two drivers on the same scenes, and how easily chance alone would make it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev


def chance_of(smaller: Sequence[float], larger: Sequence[float]) -> float:
    """One-sided p-value of the mean of ``smaller`` lying below that of ``larger``, both over the same scenes in the
    same order (paired z-test). 1 for fewer than two scenes. Scenes of one log are alike, which it does not know."""
    differences = [b - a for a, b in zip(smaller, larger, strict=True)]
    if len(differences) < 2:
        return 1.0
    mean, spread = fmean(differences), stdev(differences)
    if spread == 0:
        return 0.0 if mean > 0 else 1.0
    return 1.0 - NormalDist().cdf(mean / spread * math.sqrt(len(differences)))
