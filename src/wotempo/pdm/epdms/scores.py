"""The nine sub-scores, and how they make one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PROGRESS_WEIGHT, TTC_WEIGHT = 5.0, 5.0
LANE_KEEPING_WEIGHT = HISTORY_COMFORT_WEIGHT = EXTENDED_COMFORT_WEIGHT = 2.0

SUB_SCORES = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc", "ec")


@dataclass(frozen=True)
class ExtendedScores:
    """Scores of N proposals, each (N,) float64 in [0, 1] unless said otherwise."""

    nc: np.ndarray  # no at-fault collision: 0, 0.5 (static object) or 1
    dac: np.ndarray  # drivable area compliance: 0 or 1
    ddc: np.ndarray  # driving direction compliance: 0, 0.5 or 1
    tlc: np.ndarray  # traffic light compliance: 0 or 1
    ep: np.ndarray  # ego progress, relative to the best valid one
    ttc: np.ndarray  # time to collision: 0 or 1
    lk: np.ndarray  # lane keeping: 0 or 1
    hc: np.ndarray  # history comfort: 0 or 1
    ec: np.ndarray  # extended comfort: 0 or 1, NaN where no frame precedes
    progress_raw: np.ndarray  # metres ≥ 0 along the centreline
    masked_progress: np.ndarray  # metres; progress_raw times the four factors, before any human filter

    @property
    def score(self) -> np.ndarray:
        """The EPDMS (N,), of the sub-scores as they are: the product of four factors times the weighted mean of five;
        NaN in ``ec`` carries no weight."""
        ec_weight = np.where(np.isnan(self.ec), 0.0, EXTENDED_COMFORT_WEIGHT)
        weighted = (
            PROGRESS_WEIGHT * self.ep
            + TTC_WEIGHT * self.ttc
            + LANE_KEEPING_WEIGHT * self.lk
            + HISTORY_COMFORT_WEIGHT * self.hc
            + ec_weight * np.nan_to_num(self.ec)
        )
        total = PROGRESS_WEIGHT + TTC_WEIGHT + LANE_KEEPING_WEIGHT + HISTORY_COMFORT_WEIGHT + ec_weight
        return self.nc * self.dac * self.ddc * self.tlc * weighted / total
