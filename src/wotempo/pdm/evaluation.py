"""Plans scored as the leaderboard does: each driver alone, its progress relative to PDM-Closed's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry.pose import relative_to
from wotempo.maps import MapIndex, read_map
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.schema import Scene
from wotempo.pdm.agents import human_poses
from wotempo.pdm.closed.plan import closed_states, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.metrics import METRICS, Driven
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import HEADING, NUM_STEPS

PDM_CLOSED = "pdm_closed"  # the driver that needs no plan: it is the reference
NOT_FINITE = "the plan holds numbers that are not finite"


@dataclass(frozen=True)
class Trial:
    """What the drivers do with one scene. ``failed`` says why some cannot be driven."""

    states: Driven
    figures: dict[str, dict[str, float]]  # driver -> ade, fde and the official columns
    failed: dict[str, str]


def evaluate_scenes(
    maps: Path,
    scenes: Sequence[Scene],
    plans: Mapping[str, Mapping[str, np.ndarray]],
    metric: str = "pdms",
    closed: bool = False,
) -> list[dict[str, Any]]:
    """One row per driver and scene: driver, token, log, valid, reason, ade and fde in metres, the official columns.

    scenes: of one log, in the order of time; EPDMS compares a plan with that of the frame before. plans: driver ->
    token -> (8, 3) poses in the ego frame, every 0.5 s; ``closed`` drives PDM-Closed itself, too. metric: a key of
    METRICS. A plan with a number that is not finite, and any plan of a scene that cannot be scored, is not valid: all
    its scores are 0, ``reason`` says why, and its displacement is NaN.
    UserError for a map that cannot be read.
    """
    void = {"ade": np.nan, "fde": np.nan, **dict.fromkeys(METRICS[metric].columns.values(), 0.0)}
    rows = []
    last_index, before = -1, dict[str, np.ndarray]()
    for scene in scenes:
        driven = {driver: by_token[scene.token] for driver, by_token in plans.items()}
        town = read_map(maps, scene.current.map_location)
        town.load()  # so that a missing or damaged map is an error here and no scene's fault below
        try:
            trial = _try(town, scene, driven, metric, closed, before if scene.index == last_index + 1 else {})
        except UserError as error:  # not scored, but counted: every mean holds its zeros, and the table names it
            trial = Trial({}, {}, dict.fromkeys([*driven, *([PDM_CLOSED] if closed else [])], str(error)))
        last_index, before = scene.index, dict(trial.states)
        for driver in [*trial.figures, *trial.failed]:
            reason = trial.failed.get(driver, "")
            row = {"driver": driver, "token": scene.token, "log": scene.log.name, "valid": not reason, "reason": reason}
            rows.append({**row, **trial.figures.get(driver, void)})
    return rows


def _try(
    town: MapIndex, scene: Scene, driven: dict[str, np.ndarray], metric: str, closed: bool, before: Driven
) -> Trial:
    context = SceneContext.build(scene, town)
    reference = plan_closed(scene, town, context, METRICS[metric].choose)
    closed_driven = closed_states(reference, context)
    failed = {driver: NOT_FINITE for driver, poses in driven.items() if not np.isfinite(poses).all()}
    poses = {driver: value for driver, value in driven.items() if driver not in failed}
    states = {driver: simulate(context.ego, value[None], start_us=context.start_us) for driver, value in poses.items()}
    if closed:
        poses[PDM_CLOSED] = relative_to(context.ego[: HEADING + 1], reference.plan[1:NUM_STEPS, : HEADING + 1])
        states[PDM_CLOSED] = closed_driven
    human, columns = human_poses(scene), METRICS[metric].columns.items()
    figures = {}
    for driver, scores in METRICS[metric].judge(scene, town, context, closed_driven, states, before).items():
        ade, fde = _displacement(poses[driver], human)
        official = {column: float(getattr(scores, name)[0]) for name, column in columns}
        figures[driver] = {"ade": ade, "fde": fde, **official}
    return Trial(states, figures, failed)


def _displacement(poses: np.ndarray, human: np.ndarray) -> tuple[float, float]:
    """Mean and final distance (m) to the human's poses (8, 3); ``poses`` (8·k, 3) may be more densely sampled."""
    every = len(poses) // NUM_POSES
    error = np.linalg.norm(poses[every - 1 :: every, :2] - human[:, :2], axis=-1)
    return float(error.mean()), float(error[-1])
