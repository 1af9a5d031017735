"""The generated cases of tests/golden/epdms as scenes, and contexts made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pdm_builders import make_context, make_frame

from wotempo.navsim.schema import Log, Scene
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.scores import ExtendedScores
from wotempo.pdm.epdms.traffic_lights import RedLights
from wotempo.pdm.states import NUM_STEPS

CASES = ("red_ahead", "red_off_raw_route", "red_lane_id", "red_early", "human_at_fault")
NOW = 4  # index of the current frame in a case's log; the one before can be scored too


def case_scene(golden: dict[str, np.ndarray], case: int, index: int) -> Scene:
    """The scene at a frame of a case of official_v22.npz."""
    value = {key.split("_", 1)[1]: golden[key] for key in golden if key.startswith(f"{case}_")}
    ends = np.cumsum(value["count"])
    frames = []
    for step, (begin, end) in enumerate(zip(ends - value["count"], ends, strict=True)):
        frame = make_frame(
            index=100 * case + step,
            pose=value["pose"][step],
            boxes=value["boxes"][begin:end],
            names=value["names"][begin:end],
            velocity=value["box_velocity"][begin:end],
            tracks=[str(track) for track in value["track"][begin:end]],
            ego_velocity=value["velocity"][step],
            ego_acceleration=value["acceleration"][step],
            route=value["route"].tolist(),
            timestamp_us=int(value["timestamp_us"][step]),
        )
        lights = value["lights"][value["lights"][:, 0] == step]
        frames.append(replace(frame, traffic_lights=tuple((int(i), bool(red)) for _, i, red in lights)))
    return Scene(Log("log", "golden", frames), index)


def scores_of(**named: np.ndarray) -> ExtendedScores:
    """Scores whose metres of progress are not known."""
    return ExtendedScores(**named, progress_raw=np.zeros(0), masked_progress=np.zeros(0))


def make_extended(
    scene: SceneContext | None = None, lights: RedLights | None = None, history: np.ndarray | None = None
) -> ExtendedContext:
    """An extended context with no lights and no history unless given."""
    none = RedLights(np.zeros(0, object), np.zeros((NUM_STEPS, 0), bool))
    return ExtendedContext(make_context() if scene is None else scene, none if lights is None else lights, history)
