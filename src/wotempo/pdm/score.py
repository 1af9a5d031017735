"""The PDM score of NAVSIM v1.1, for a batch of simulated proposals of one scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wotempo.pdm.areas import ego_areas
from wotempo.pdm.collisions import collision_scores
from wotempo.pdm.comfort import comfort_tests
from wotempo.pdm.context import SceneContext
from wotempo.pdm.progress import direction_compliance, progress_along
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import CENTRE, HEADING, NUM_STEPS, STATE_SIZE, box_points

SCORER_VERSION = "pdm-1.1-1"  # changes whenever a score may change by more than labels resolve; they carry it
PROGRESS_WEIGHT, TTC_WEIGHT, COMFORT_WEIGHT = 5.0, 5.0, 2.0
MIN_REFERENCE_PROGRESS = 5.0  # metres; below, progress is not compared


@dataclass(frozen=True)
class SubScores:
    """Scores of N proposals, each (N,) float64 in [0, 1] unless said otherwise."""

    nc: np.ndarray  # no at-fault collision: 0, 0.5 (static object) or 1
    dac: np.ndarray  # drivable area compliance: 0 or 1
    ep: np.ndarray  # ego progress, relative to the best of the batch
    ttc: np.ndarray  # time to collision: 0 or 1
    comfort: np.ndarray  # 0 or 1
    ddc: np.ndarray  # driving direction compliance: 0, 0.5 or 1; not part of the v1.1 score
    score: np.ndarray
    progress_raw: np.ndarray  # metres ≥ 0 along the centreline

    @property
    def masked_progress(self) -> np.ndarray:
        """Progress that counts, metres: progress_raw where neither collision nor road departure voids it."""
        return self.progress_raw * self.nc * self.dac


def score(context: SceneContext, states: np.ndarray, reference_progress: float = 0.0) -> SubScores:
    """Score simulated states (N, 41, 11).

    Proposals meet only in the progress score, which is relative to the largest ``masked_progress`` of the batch.
    reference_progress: the same quantity, metres, of proposals outside the batch (PDM-Closed, in official results).
    """
    require_states(states)
    if not np.isfinite(states).all():
        raise ValueError("some states are not finite: leave such proposals out")
    points = box_points(states)
    centres = points[:, :, CENTRE]
    areas = ego_areas(context.areas, points, states[..., :HEADING])
    nc, ttc = collision_scores(context.objects, states, points, areas)
    dac = np.asarray(~areas.non_drivable.any(-1), np.float64)
    comfort = np.asarray(comfort_tests(states).all(-1), np.float64)
    progress_raw = progress_along(context.centreline, centres)
    ep = relative_progress(progress_raw, nc * dac, reference_progress)
    total = pdm_score(nc, dac, ep, ttc, comfort)
    return SubScores(nc, dac, ep, ttc, comfort, direction_compliance(centres, areas.oncoming), total, progress_raw)


def score_each(context: SceneContext, states: np.ndarray, reference_progress: float) -> SubScores:
    """Score simulated states (N, 41, 11), each proposal alone beside the reference, whose ``masked_progress`` (m) is
    given: what ``score`` says of every one of them in a batch of its own."""
    together = score(context, states, reference_progress)
    ep = progress_alone(together.masked_progress, together.nc * together.dac, reference_progress)
    return replace(together, ep=ep, score=pdm_score(together.nc, together.dac, ep, together.ttc, together.comfort))


def pdm_score(nc: np.ndarray, dac: np.ndarray, ep: np.ndarray, ttc: np.ndarray, comfort: np.ndarray) -> np.ndarray:
    """The v1.1 score (N,) of sub-scores (N,)."""
    weighted = PROGRESS_WEIGHT * ep + TTC_WEIGHT * ttc + COMFORT_WEIGHT * comfort
    return nc * dac * weighted / (PROGRESS_WEIGHT + TTC_WEIGHT + COMFORT_WEIGHT)


def require_states(states: np.ndarray) -> None:
    """Raises ValueError unless states are (N, 41, 11) of at least one proposal."""
    if states.ndim != 3 or states.shape[1:] != (NUM_STEPS, STATE_SIZE) or len(states) == 0:
        raise ValueError(f"states must be (N, {NUM_STEPS}, {STATE_SIZE}) with N > 0, not {states.shape}")


def relative_progress(progress_raw: np.ndarray, multiplier: np.ndarray, reference_progress: float = 0.0) -> np.ndarray:
    """Ego progress (N,) from metres (N,) and the product NC·DAC (N,); see `score`."""
    masked = progress_raw * multiplier
    best = max(masked.max(), reference_progress)
    if best > MIN_REFERENCE_PROGRESS:
        return masked / best
    return (multiplier > 0).astype(np.float64)


def progress_alone(masked: np.ndarray, multiplier: np.ndarray, reference_progress: float) -> np.ndarray:
    """Ego progress (N,) of proposals that are each compared with the reference alone, from metres times the product
    NC·DAC (N,) and that product (N,)."""
    best = np.maximum(masked, reference_progress)
    compared = best > MIN_REFERENCE_PROGRESS
    return np.where(compared, masked / np.where(compared, best, 1.0), multiplier > 0)


def score_trajectories(
    context: SceneContext, poses: np.ndarray, interval_s: float = 0.5, reference_progress: float = 0.0
) -> SubScores:
    """Simulate and score plans (N, K, 3) in the frame of the current ego pose, one pose every ``interval_s``."""
    return score(context, simulate(context.ego, poses, interval_s, context.start_us), reference_progress)
