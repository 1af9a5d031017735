"""The extended PDM score of NAVSIM v2.2, for a batch of simulated proposals of one scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wotempo.pdm.areas import ego_areas
from wotempo.pdm.collisions import collision_scores
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.extended_comfort import extended_comfort
from wotempo.pdm.epdms.history import history_comfort
from wotempo.pdm.epdms.lane_keeping import lane_keeping
from wotempo.pdm.epdms.scores import ExtendedScores
from wotempo.pdm.epdms.traffic_lights import traffic_light_compliance
from wotempo.pdm.progress import direction_compliance, progress_along
from wotempo.pdm.score import MIN_REFERENCE_PROGRESS, require_states
from wotempo.pdm.states import CENTRE, HEADING, box_points


def extended_scores(
    context: ExtendedContext,
    states: np.ndarray,
    reference_progress: float = 0.0,
    states_before: np.ndarray | None = None,
) -> ExtendedScores:
    """Score simulated states (N, 41, 11).

    Proposals meet only in the progress score, which is relative to the largest ``masked_progress`` of the batch.
    reference_progress: the same quantity, metres, of proposals outside the batch (PDM-Closed, in official results,
    which score agents one by one). states_before: (N, 41, 11) or (1, 41, 11), what the same agent did half a second
    earlier, see `extended_comfort`; None: no frame precedes.
    """
    require_states(states)
    points = box_points(states)
    centres = points[:, :, CENTRE]
    areas = ego_areas(context.scene.areas, points, states[..., :HEADING])
    in_intersection = areas.centre_in_intersection
    nc, ttc = collision_scores(context.scene.objects, states, points, areas)
    dac = np.asarray(~areas.non_drivable.any(-1), np.float64)
    ddc = direction_compliance(centres, areas.oncoming & ~in_intersection)
    tlc = traffic_light_compliance(context.red_lights, points)
    progress_raw = progress_along(context.scene.centreline, centres)
    masked = progress_raw * nc * dac * ddc * tlc
    return ExtendedScores(
        nc=nc,
        dac=dac,
        ddc=ddc,
        tlc=tlc,
        ep=_relative_progress(progress_raw, max(masked.max(), reference_progress)),
        ttc=ttc,
        lk=lane_keeping(context.scene.centreline, centres, in_intersection),
        hc=history_comfort(states, context.history),
        ec=np.full(len(states), np.nan) if states_before is None else extended_comfort(states, states_before),
        progress_raw=progress_raw,
        masked_progress=masked,
    )


def human_scores(context: ExtendedContext, states: np.ndarray) -> ExtendedScores:
    """Scores of the human's simulated states (1, 41, 11) as the human filter wants them: no history, no reference."""
    return extended_scores(replace(context, history=None), states)


def _relative_progress(progress_raw: np.ndarray, best: float) -> np.ndarray:
    """Ego progress (N,): unlike v1.1's, a void proposal keeps its own."""
    if best > MIN_REFERENCE_PROGRESS:
        return np.clip(progress_raw / best, 0.0, 1.0)
    return np.ones(len(progress_raw))
