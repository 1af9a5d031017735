"""The two scores of a driven scene, as rows of the official columns: PDMS (NAVSIM v1.1) and EPDMS (v2.2, one stage)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from wotempo.maps import MapIndex
from wotempo.navsim.schema import Frame, Scene
from wotempo.pdm.agents import human_poses
from wotempo.pdm.causes import Cause, epdms_causes, pdms_causes
from wotempo.pdm.closed.plan import Chooser, by_pdms
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.human_filter import apply_human_filter
from wotempo.pdm.epdms.score import extended_scores, human_scores
from wotempo.pdm.epdms.scores import SUB_SCORES, ExtendedScores
from wotempo.pdm.epdms.traffic_lights import RedLights
from wotempo.pdm.score import SubScores, score
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import NUM_STEPS

COLUMNS = {
    "nc": "no_at_fault_collisions",
    "dac": "drivable_area_compliance",
    "ddc": "driving_direction_compliance",
    "tlc": "traffic_light_compliance",
    "ep": "ego_progress",
    "ttc": "time_to_collision_within_bound",
    "comfort": "comfort",
    "lk": "lane_keeping",
    "hc": "history_comfort",
    "ec": "two_frame_extended_comfort",
    "score": "score",
}
PDMS_COLUMNS = {name: COLUMNS[name] for name in ("nc", "dac", "ep", "ttc", "comfort", "ddc", "score")}
EPDMS_COLUMNS = {name: COLUMNS[name] for name in (*SUB_SCORES, "score")}
Driven = Mapping[str, np.ndarray]  # driver -> simulated states (1, 41, 11)
Judged = Mapping[str, SubScores | ExtendedScores]  # driver -> one row of scores


@dataclass(frozen=True)
class Driving:
    """A scene in which drivers are judged."""

    scene: Scene
    town: MapIndex
    context: SceneContext

    @cached_property
    def frames(self) -> list[Frame]:
        """Now and the future."""
        return [self.scene.current, *self.scene.future]

    @cached_property
    def extended(self) -> ExtendedContext:
        """What the score of v2.2 looks at besides."""
        return ExtendedContext.extend(self.context, self.scene, self.town)


@dataclass(frozen=True)
class Metric:
    """How a scene is scored."""

    columns: dict[str, str]  # our name -> official column, in the official order
    choose: Chooser  # by what PDM-Closed, whose progress is the measure of all others, chooses its plan
    # (PDM-Closed's states, drivers, the same half a second earlier) -> scores. Every driver is alone with the
    # reference, as in the official two-row evaluation: no other driver moves its progress.
    judge: Callable[[Driving, np.ndarray, Driven, Driven], Judged]
    # (states of a driver, its scores, the same half a second earlier) -> why some are below 1
    explain: Callable[[Driving, np.ndarray, Mapping[str, float], np.ndarray | None], list[Cause]]


def _pdms(at: Driving, closed: np.ndarray, driven: Driven, _: Driven) -> Judged:
    best = float(score(at.context, closed).masked_progress[0])
    return {driver: score(at.context, states, best) for driver, states in driven.items()}


def _epdms(at: Driving, closed: np.ndarray, driven: Driven, before: Driven) -> Judged:
    """With the human filter. A driver without an entry in ``before`` has no extended comfort (NaN)."""
    context, extended = at.context, at.extended
    human = human_scores(extended, simulate(context.ego, human_poses(at.scene)[None], start_us=context.start_us))
    best = float(extended_scores(extended, closed).masked_progress[0])
    return {
        driver: apply_human_filter(extended_scores(extended, states, best, before.get(driver)), human)
        for driver, states in driven.items()
    }


def _explain_pdms(at: Driving, states: np.ndarray, scores: Mapping[str, float], _: np.ndarray | None) -> list[Cause]:
    return pdms_causes(at.context, at.frames, states, scores)


def _explain_epdms(
    at: Driving, states: np.ndarray, scores: Mapping[str, float], before: np.ndarray | None
) -> list[Cause]:
    return epdms_causes(at.extended, at.frames, states, scores, before)


def by_epdms(forecast: SceneContext, red: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The v2.2 score of PDM-Closed's proposals: lights stay as they are, and no history."""
    objects = forecast.objects
    seen = replace(objects, corners=objects.corners[:NUM_STEPS], present=objects.present[:NUM_STEPS])
    lights = RedLights(red, np.ones((NUM_STEPS, len(red)), bool))
    return extended_scores(ExtendedContext(replace(forecast, objects=seen), lights, None), states).score


METRICS = {
    "pdms": Metric(PDMS_COLUMNS, by_pdms, _pdms, _explain_pdms),
    "epdms": Metric(EPDMS_COLUMNS, by_epdms, _epdms, _explain_epdms),
}
