"""PDM-Closed plans, and progress is compared with it, as in NAVSIM v1.1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pdm_builders import closed_reference_progress, golden_scene

from wotempo.geometry.pose import wrap_angle
from wotempo.maps import MapIndex, read_map
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import Log, Scene
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.closed.plan import plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import score_trajectories

LOCATION = "us-nv-las-vegas-strip"
FIELDS = ("nc", "dac", "ep", "ttc", "comfort", "ddc", "score")
DISCRETE = ("nc", "dac", "ttc", "comfort", "ddc")


def _check(scene: Scene, town: MapIndex, plan: np.ndarray, rows: dict[str, np.ndarray]) -> float:
    """Compare the plan and two agents' rows of the two-row evaluation; returns the reference progress."""
    context = SceneContext.build(scene, town)
    closed = plan_closed(scene, town, context)
    off = closed.plan - plan
    off[:, 2] = wrap_angle(off[:, 2])
    np.testing.assert_allclose(off, 0.0, atol=1e-6, err_msg=scene.token)
    reference = closed_reference_progress(closed, context)
    for name, poses in (("human", human_poses(scene)), ("constant_velocity", constant_velocity_poses(scene))):
        result = score_trajectories(context, poses[None], reference_progress=reference)
        for field, official in zip(FIELDS, rows[name], strict=True):
            tolerance = 0.0 if field in DISCRETE else 1e-6
            assert abs(getattr(result, field)[0] - official) <= tolerance, (scene.token, name, field)
    return reference


def _with_red_lights(scene: Scene, connectors: str) -> Scene:
    lights = tuple((int(connector), True) for connector in connectors.split())
    frames = list(scene.log.frames)
    frames[scene.index] = replace(scene.current, traffic_lights=lights)
    return replace(scene, log=Log(scene.log.name, scene.log.split, frames))


@pytest.mark.parametrize("row", range(9))
def test_nine_variants_of_three_scenes(row: int, golden_dir: Path) -> None:
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        scenes = dict(file)
    with np.load(golden_dir / "pdm" / "closed_v11.npz") as file:
        official = {key: file[key][row] for key in file}
    town = read_map(golden_dir / "navsim" / "maps", LOCATION)
    scene = _with_red_lights(golden_scene(scenes, int(official["case"])), str(official["red"]))
    reference = _check(scene, town, official["plan"], official)
    assert reference == pytest.approx(official["reference"], abs=1e-6)


def test_a_red_light_changes_a_plan_and_a_row(golden_dir: Path) -> None:
    """So that the variants above are not all alike."""
    with np.load(golden_dir / "pdm" / "closed_v11.npz") as official:
        first = official["case"] == 0
        assert len(np.unique(official["reference"][first].round(3))) == 2
        assert len(np.unique(official["constant_velocity"][first, 2])) == 2


@pytest.mark.shared
def test_all_reference_scenes(shared_dir: Path) -> None:
    root = shared_dir / "golden" / "navsim"
    with np.load(root / "pdm_v11_dev.npz") as file:
        golden = {key: file[key] for key in ("tokens", "pdm_closed_plan", "human", "constant_velocity")}
    logs = [read_log(path, "golden") for path in sorted((root / "navsim_logs" / "golden").glob("*.pkl"))]
    scenes = {frame.token: Scene(log, index) for log in logs for index, frame in enumerate(log.frames)}
    town = read_map(root / "maps", LOCATION)
    assert len(golden["tokens"]) == 24
    for row, token in enumerate(golden["tokens"]):
        rows = {name: golden[name][row] for name in ("human", "constant_velocity")}
        assert _check(scenes[token], town, golden["pdm_closed_plan"][row], rows) >= 0
