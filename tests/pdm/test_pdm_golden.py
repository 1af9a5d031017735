"""Scores equal those of NAVSIM v1.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pdm_builders import golden_scene

from wotempo.maps import MapIndex, read_map
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import Scene
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.centreline import route_lanes
from wotempo.pdm.context import SceneContext
from wotempo.pdm.route import repair_route
from wotempo.pdm.score import SubScores, score, score_trajectories
from wotempo.pdm.simulate import simulate

LOCATION = "us-nv-las-vegas-strip"
DISCRETE = ("nc", "dac", "ttc", "comfort", "ddc")
CONTINUOUS = ("ep", "progress_raw", "score")


def _compare(result: SubScores, official: dict[str, np.ndarray]) -> None:
    for name in DISCRETE:
        np.testing.assert_array_equal(getattr(result, name), official[name], err_msg=name)
    for name in CONTINUOUS:
        np.testing.assert_allclose(getattr(result, name), official[name], atol=1e-6, err_msg=name)


@pytest.fixture(scope="module")
def town(golden_dir: Path) -> MapIndex:
    return read_map(golden_dir / "navsim" / "maps", LOCATION)


@pytest.mark.parametrize("case", range(3))
def test_three_scenes_with_repaired_routes(case: int, golden_dir: Path, town: MapIndex) -> None:
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        golden = dict(file)
    official = {key.removeprefix(f"{case}_official_"): golden[key] for key in golden if f"{case}_official_" in key}
    scene = golden_scene(golden, case)
    context = SceneContext.build(scene, town)
    route = repair_route(town, context.ego[:3], scene.current.roadblock_ids)
    assert route_lanes(town, route) == official["route_lanes"].tolist()
    np.testing.assert_allclose(context.centreline[:, :2], official["centreline"], atol=1e-6)
    states = simulate(context.ego, golden["proposals"][case], start_us=context.start_us)
    np.testing.assert_allclose(states[::16], official["states"], atol=1e-6)
    _compare(score(context, states), official)


def test_the_three_scenes_show_every_outcome(golden_dir: Path) -> None:
    with np.load(golden_dir / "pdm" / "official_v11.npz") as golden:
        for name in DISCRETE:
            values = np.unique(np.concatenate([golden[f"{case}_official_{name}"] for case in range(3)]))
            assert set(values) == ({0, 0.5, 1} if name in ("nc", "ddc") else {0, 1}), name


@pytest.mark.shared
def test_all_reference_scenes(shared_dir: Path) -> None:
    """24 scenes × 256 anchors, and the rows of two agents, whose official progress is relative to PDM-Closed."""
    root = shared_dir / "golden" / "navsim"
    with np.load(root / "pdm_v11_dev.npz") as file:
        golden = dict(file)
    logs = [read_log(path, "golden") for path in sorted((root / "navsim_logs" / "golden").glob("*.pkl"))]
    scenes = {frame.token: Scene(log, index) for log in logs for index, frame in enumerate(log.frames)}
    town = read_map(root / "maps", LOCATION)
    columns = [golden["result_fields"].tolist().index(name) for name in (
        "no_at_fault_collisions", "drivable_area_compliance", "time_to_collision_within_bound", "comfort",
        "driving_direction_compliance",
    )]  # fmt: skip
    for row, token in enumerate(golden["tokens"]):
        scene = scenes[token]
        context = SceneContext.build(scene, town)
        route = repair_route(town, context.ego[:3], scene.current.roadblock_ids)
        assert len(route_lanes(town, route)) == golden["n_route_lanes"][row]
        length = np.hypot(*np.diff(context.centreline[:, :2], axis=0).T).sum()
        assert length == pytest.approx(golden["centerline_length"][row], abs=1e-6)
        states = simulate(context.ego, golden["anchors"], start_us=context.start_us)
        np.testing.assert_allclose(states[::32], golden["sim_states_every32"][row], atol=1e-6)
        official = {name: golden["c" if name == "comfort" else name][row] for name in DISCRETE + CONTINUOUS}
        _compare(score(context, states), official)
        for name, poses in (("human", human_poses(scene)), ("constant_velocity", constant_velocity_poses(scene))):
            agent = score_trajectories(context, poses[None])
            got = [getattr(agent, metric)[0] for metric in DISCRETE]
            np.testing.assert_array_equal(got, golden[name][row, columns], err_msg=f"{name} {token}")
