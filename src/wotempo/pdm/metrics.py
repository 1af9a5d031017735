"""The two scores of a driven scene, as rows of the official columns: PDMS (NAVSIM v1.1) and EPDMS (v2.2, one stage)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from wotempo.maps import MapIndex
from wotempo.navsim.schema import Scene
from wotempo.pdm.agents import human_poses
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.human_filter import apply_human_filter
from wotempo.pdm.epdms.score import extended_scores, human_scores
from wotempo.pdm.score import score
from wotempo.pdm.simulate import simulate

PDMS_COLUMNS = {
    "nc": "no_at_fault_collisions",
    "dac": "drivable_area_compliance",
    "ep": "ego_progress",
    "ttc": "time_to_collision_within_bound",
    "comfort": "comfort",
    "ddc": "driving_direction_compliance",
    "score": "score",
}
EPDMS_COLUMNS = {
    "nc": "no_at_fault_collisions",
    "dac": "drivable_area_compliance",
    "ddc": "driving_direction_compliance",
    "tlc": "traffic_light_compliance",
    "ep": "ego_progress",
    "ttc": "time_to_collision_within_bound",
    "lk": "lane_keeping",
    "hc": "history_comfort",
    "ec": "two_frame_extended_comfort",
    "score": "score",
}
Driven = Mapping[str, np.ndarray]  # driver -> simulated states (1, 41, 11)
Judge = Callable[[Scene, MapIndex, SceneContext, np.ndarray, Driven, Driven], dict[str, dict[str, float]]]


def pdms(
    scene: Scene, town: MapIndex, context: SceneContext, closed: np.ndarray, driven: Driven, before: Driven
) -> dict[str, dict[str, float]]:
    """driver -> official column -> value. closed: PDM-Closed's states; before: states half a second earlier, unused.

    Every driver is alone with the reference, as in the official two-row evaluation: no other moves its progress.
    """
    best = float(score(context, closed).masked_progress[0])
    rows = {}
    for driver, states in driven.items():
        result = score(context, states, reference_progress=best)
        rows[driver] = {column: float(getattr(result, name)[0]) for name, column in PDMS_COLUMNS.items()}
    return rows


def epdms(
    scene: Scene, town: MapIndex, context: SceneContext, closed: np.ndarray, driven: Driven, before: Driven
) -> dict[str, dict[str, float]]:
    """As `pdms`, with the human filter; a driver without an entry in ``before`` has no extended comfort (NaN)."""
    extended = ExtendedContext.extend(context, scene, town)
    human = human_scores(extended, simulate(context.ego, human_poses(scene)[None], start_us=context.start_us))
    best = float(extended_scores(extended, closed).masked_progress[0])
    rows = {}
    for driver, states in driven.items():
        result = apply_human_filter(extended_scores(extended, states, best, before.get(driver)), human)
        rows[driver] = {column: float(getattr(result, name)[0]) for name, column in EPDMS_COLUMNS.items()}
    return rows


METRICS: dict[str, tuple[Judge, dict[str, str]]] = {"pdms": (pdms, PDMS_COLUMNS), "epdms": (epdms, EPDMS_COLUMNS)}
