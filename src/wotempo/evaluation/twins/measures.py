"""The measures of a planner in one pair of twins: pair accuracy, and whether it has one plan for both."""

from __future__ import annotations

import numpy as np

from wotempo.evaluation.twins.bound import SCORES

TIE = 1e-5  # of two predicted probabilities: sums in another order differ by less
ONE_PLAN = 1e-4  # metres and radians: two plans that lie no further apart are one
JUDGED = ("nc", "dac", "ttc", "comfort")  # sub-scores whose point an anchor has or loses
PREDICTED = ("nc", "dac", "ep", "ttc", "comfort")  # the order of ``Planner.anchor_scores``


def pair_accuracy(truth_msn: np.ndarray, predicted_m5n: np.ndarray) -> dict[str, float]:
    """truth_msn (2, len(SCORES), N) and predicted_m5n (2, 5, N), as ``PREDICTED`` orders it, of both scenes of a pair.

    Over the anchors that lose a sub-score's point in one of the scenes and keep it in the other: how often that
    sub-score is predicted higher where it is kept. A tie counts one half, a prediction that is no number is wrong.
    ``accuracy`` over all such cases of the pair, each of the sub-scores alike; ``accuracy_nc`` and ``accuracy_ttc``;
    NaN where there is no case; ``cases``: how many.
    """
    of_cases = {}
    for name in JUDGED:
        lost_mn = truth_msn[:, SCORES.index(name)] < 1
        cases = lost_mn[0] != lost_mn[1]
        value_mn = predicted_m5n[:, PREDICTED.index(name)].astype(np.float64)
        apart = np.where(lost_mn[1], 1, -1) * (value_mn[0] - value_mn[1])  # above 0: the right way round
        of_cases[name] = np.where(np.abs(apart) <= TIE, 0.5, apart > 0)[cases]
    every = np.concatenate(list(of_cases.values()))
    named = {f"accuracy_{name}": _mean(of_cases[name]) for name in ("nc", "ttc")}
    return {"accuracy": _mean(every), **named, "cases": float(len(every))}


def as_one(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two plans (P, 3) are one and the same; plans that are no numbers are not."""
    return bool((np.abs(first - second) <= ONE_PLAN).all())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
