"""Plans scored as the leaderboard does: each driver alone, its progress relative to PDM-Closed's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry.pose import relative_to
from wotempo.maps import MapIndex, read_map
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.per_scene import attempted
from wotempo.navsim.schema import Scene
from wotempo.pdm.agents import human_poses
from wotempo.pdm.causes import Cause, unexplained
from wotempo.pdm.closed.plan import closed_states, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.metrics import METRICS, Driven, Driving
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import HEADING, NUM_STEPS

PDM_CLOSED = "pdm_closed"  # the driver that needs no plan: it is the reference
NOT_FINITE = "the plan holds numbers that are not finite"
NO_PLAN = "there is no plan for it"
Plan = np.ndarray | str  # (8, 3) poses, or the reason why there are none


@dataclass(frozen=True)
class Trial:
    """What the drivers do with one scene. ``failed`` says why some cannot be driven."""

    states: Driven
    figures: dict[str, dict[str, float]]  # driver -> ade, fde and the official columns
    failed: dict[str, str]
    causes: dict[str, list[Cause]]  # driver -> why sub-scores are below 1


def evaluate_scenes(
    maps: Path,
    scenes: Sequence[Scene],
    plans: Mapping[str, Mapping[str, Plan]],
    metric: str = "pdms",
    closed: bool = False,
) -> list[dict[str, Any]]:
    """One row per driver and scene: driver, token, log, valid, reason, ade and fde in metres, the official columns;
    ``why``, for readers, and ``causes``, JSON of ``causes.Cause``, of sub-scores below 1.

    scenes: of one log, in the order of time; EPDMS compares a plan with that of the frame before. plans: driver ->
    token -> (8, 3) poses in the ego frame, every 0.5 s, or why there are none; ``closed`` drives PDM-Closed, too.
    metric: a key of METRICS. A plan that is absent or cannot be driven, and any plan of a scene that cannot be scored,
    is not valid: all its scores are 0, ``reason`` says why, without the token, and its displacement is NaN.
    UserError for a map that cannot be read.
    """
    void = {"ade": np.nan, "fde": np.nan, **dict.fromkeys(METRICS[metric].columns.values(), 0.0)}
    rows = []
    last_index, before = -1, dict[str, np.ndarray]()
    for scene in scenes:
        driven = {driver: by_token.get(scene.token, NO_PLAN) for driver, by_token in plans.items()}
        town = read_map(maps, scene.current.map_location)
        town.load()  # so that a missing or damaged map is an error here and no scene's fault below
        follows = scene.index == last_index + 1
        trial, why = attempted(partial(_try, town, scene, driven, metric, closed, before if follows else {}))
        if trial is None:  # not scored, but counted: every mean holds its zeros, and the table names it
            trial = Trial({}, {}, dict.fromkeys([*driven, *([PDM_CLOSED] if closed else [])], why), {})
        last_index, before = scene.index, dict(trial.states)
        for driver in [*trial.figures, *trial.failed]:
            reason = trial.failed.get(driver, "")
            row = {"driver": driver, "token": scene.token, "log": scene.log.name, "valid": not reason, "reason": reason}
            causes = trial.causes.get(driver, [])
            told = {"why": "; ".join(map(str, causes)), "causes": json.dumps([cause.fields for cause in causes])}
            rows.append({**row, **trial.figures.get(driver, void), **told})
    return rows


def _try(town: MapIndex, scene: Scene, driven: dict[str, Plan], metric: str, closed: bool, before: Driven) -> Trial:
    context = SceneContext.build(scene, town)
    reference = plan_closed(scene, town, context, METRICS[metric].choose)
    closed_driven = closed_states(reference, context)
    poses, states, failed = dict[str, np.ndarray](), dict[str, np.ndarray](), dict[str, str]()
    for driver, plan in driven.items():
        simulated, why = attempted(partial(_simulated, context, plan))
        if simulated is None or isinstance(plan, str):
            failed[driver] = why
        else:
            poses[driver], states[driver] = plan, simulated
    if closed:
        poses[PDM_CLOSED] = relative_to(context.ego[: HEADING + 1], reference.plan[1:NUM_STEPS, : HEADING + 1])
        states[PDM_CLOSED] = closed_driven
    human, columns = human_poses(scene), METRICS[metric].columns.items()
    at = Driving(scene, town, context)
    judge = partial(METRICS[metric].judge, at, closed_driven)
    figures, causes = {}, {}
    for driver, scores in judge(states, before).items():
        ade, fde = _displacement(poses[driver], human)
        official = {column: float(getattr(scores, name)[0]) for name, column in columns}
        figures[driver] = {"ade": ade, "fde": fde, **official}
        by_name = {name: official[column] for name, column in columns}
        explain = partial(METRICS[metric].explain, at, states[driver], by_name, before.get(driver))
        found, why = attempted(explain)  # an explanation that fails is no score that fails
        causes[driver] = found if found is not None else [unexplained(why)]
    return Trial(states, figures, failed, causes)


def _simulated(context: SceneContext, plan: Plan) -> np.ndarray:
    """(1, 41, 11) of the vehicle that follows the plan. UserError where there is none, or where it cannot be followed:
    one driver's plan must not cost the others the scene."""
    if isinstance(plan, str):
        raise UserError(plan)
    if not np.isfinite(plan).all():
        raise UserError(NOT_FINITE)
    with np.errstate(all="ignore"):
        states = simulate(context.ego, plan[None], start_us=context.start_us)
    if not np.isfinite(states).all():
        raise UserError("the plan lies so far away that the vehicle which follows it leaves the range of numbers")
    return states


def _displacement(poses: np.ndarray, human: np.ndarray) -> tuple[float, float]:
    """Mean and final distance (m) to the human's poses (8, 3); ``poses`` (8·k, 3) may be more densely sampled."""
    every = len(poses) // NUM_POSES
    error = np.linalg.norm(poses[every - 1 :: every, :2] - human[:, :2], axis=-1)
    return float(error.mean()), float(error[-1])
