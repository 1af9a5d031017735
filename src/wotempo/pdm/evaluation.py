"""Plans scored as the leaderboard does (NAVSIM v1.1): each driver alone, its progress relative to PDM-Closed's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry.pose import relative_to
from wotempo.maps import read_map
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.schema import FRAME_PERIOD_S, Scene
from wotempo.pdm.agents import human_poses
from wotempo.pdm.closed.plan import closed_reference_progress, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import SubScores, score
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import HEADING, STEP_S

# Ours -> the official column, in the official order.
OFFICIAL = {
    "nc": "no_at_fault_collisions",
    "dac": "drivable_area_compliance",
    "ep": "ego_progress",
    "ttc": "time_to_collision_within_bound",
    "comfort": "comfort",
    "ddc": "driving_direction_compliance",
    "score": "score",
}
PDM_CLOSED = "pdm_closed"  # the driver that needs no plan: it is the reference


def evaluate_scenes(
    maps: Path, scenes: Sequence[Scene], plans: Mapping[str, Mapping[str, np.ndarray]], closed: bool = False
) -> list[dict[str, Any]]:
    """One row per driver and scene: driver, token, log, valid, reason, ade and fde in metres, the official columns.

    plans: driver -> token -> (8, 3) poses in the ego frame, every 0.5 s; ``closed`` drives PDM-Closed itself, too. A
    plan with a number that is not finite, and any plan of a scene that cannot be scored, is not valid: all its scores
    are 0, ``reason`` says why, and the displacement of a plan that is not finite is NaN.
    """
    rows = []
    for scene in scenes:
        driven = {driver: by_token[scene.token] for driver, by_token in plans.items()}
        try:
            map_index = read_map(maps, scene.current.map_location)
            context = SceneContext.build(scene, map_index)
            reference = plan_closed(scene, map_index, context)
        except UserError as error:  # not scored, but counted: every mean holds its zeros, and the table names it
            names = [*driven, *([PDM_CLOSED] if closed else [])]
            rows += [_row(driver, scene, driven.get(driver), None, str(error)) for driver in names]
            continue
        best = closed_reference_progress(reference, context)
        if closed:
            driven[PDM_CLOSED] = relative_to(context.ego[: HEADING + 1], reference.plan[1:41, : HEADING + 1])
        for driver, poses in driven.items():
            if not np.isfinite(poses).all():
                rows.append(_row(driver, scene, poses, None, "the plan holds numbers that are not finite"))
                continue
            interval_s = STEP_S if driver == PDM_CLOSED else FRAME_PERIOD_S
            states = simulate(context.ego, poses[None], interval_s, context.start_us)
            # Alone with the reference, as in the official two-row evaluation: no other driver moves its progress.
            rows.append(_row(driver, scene, poses, score(context, states, reference_progress=best)))
    return rows


def _row(
    driver: str, scene: Scene, poses: np.ndarray | None, result: SubScores | None, reason: str = ""
) -> dict[str, Any]:
    ade = fde = np.nan
    if poses is not None and result is not None:
        every = len(poses) // NUM_POSES
        error = np.linalg.norm(poses[every - 1 :: every, :2] - human_poses(scene)[:, :2], axis=-1)
        ade, fde = float(error.mean()), float(error[-1])
    return {
        "driver": driver,
        "token": scene.token,
        "log": scene.log.name,
        "valid": result is not None,
        "reason": reason,
        "ade": ade,
        "fde": fde,
        **{column: 0.0 if result is None else float(getattr(result, name)[0]) for name, column in OFFICIAL.items()},
    }
