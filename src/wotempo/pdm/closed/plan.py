"""The planner: 15 proposals, simulated and scored against the forecast; the best one is the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from wotempo.maps import MapIndex
from wotempo.navsim.schema import Scene
from wotempo.pdm.closed.forecast import Forecast
from wotempo.pdm.closed.paths import FollowedPath
from wotempo.pdm.closed.rollout import NUM_PLAN_STEPS, roll_out
from wotempo.pdm.context import SceneContext
from wotempo.pdm.reference import resample
from wotempo.pdm.score import score
from wotempo.pdm.simulate import track
from wotempo.pdm.states import NUM_STEPS, STEP_S

OFFSETS = (0.0, -1.0, 1.0)  # metres to the left of the centreline
SPEED_FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the speed limit where the ego starts
DEFAULT_SPEED_LIMIT = 15.0  # m/s


@dataclass(frozen=True)
class ClosedPlan:
    """What PDM-Closed plans for one scene."""

    plan: np.ndarray  # (51, 4) x, y, heading, speed; global, t = 0, 0.1 … 5.0 s. NAVSIM leaves the speed at 0
    chosen: int  # index of the proposal: path·5 + speed, in the order of OFFSETS and SPEED_FRACTIONS
    scores: np.ndarray  # (15,) of the proposals


# (context with the forecast as its objects, connectors of red lights (R,), states (15, 41, 11)) -> scores (15,)
Chooser = Callable[[SceneContext, np.ndarray, np.ndarray], np.ndarray]


def by_pdms(forecast: SceneContext, red: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The v1.1 score, which knows no lights."""
    return score(forecast, states).score


def plan_closed(scene: Scene, map_index: MapIndex, context: SceneContext, choose: Chooser = by_pdms) -> ClosedPlan:
    """Plan from the current frame of ``scene``, of which ``context`` was built; ``choose`` scores the proposals.

    The planner sees the frame's boxes and traffic lights and forecasts the rest; nothing of the log's future.
    Raises UserError naming the token when the frame has no boxes.
    """
    lights = {str(lane) for lane, is_red in scene.current.traffic_lights if is_red}
    red = [map_index.lane(lane).polygon for lane in context.route_lanes if lane in lights]
    forecast = Forecast.build(scene.current, context.ego, red)
    limit = map_index.lane(context.start_lane).speed_limit
    targets = np.array(SPEED_FRACTIONS) * (DEFAULT_SPEED_LIMIT if limit is None else limit)
    paths = [FollowedPath.beside(context.centreline, offset) for offset in OFFSETS]
    proposals = roll_out(paths, targets, forecast, context.ego)

    states = track(context.ego, proposals[:, :NUM_STEPS])
    scores = choose(replace(context, objects=forecast.objects()), np.array(red, object), states)
    chosen = int(np.argmax(scores))
    return ClosedPlan(np.pad(proposals[chosen], ((0, 0), (0, 1))), chosen, scores)


def closed_states(closed: ClosedPlan, context: SceneContext) -> np.ndarray:
    """States (1, 41, 11) of the vehicle that follows the plan."""
    plan_us = np.round(np.arange(NUM_PLAN_STEPS) * STEP_S * 1e6).astype(np.int64)
    return track(context.ego, resample(closed.plan[None, :, :3], plan_us, context.start_us))
