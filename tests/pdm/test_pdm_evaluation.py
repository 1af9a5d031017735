"""Scoring of drivers as the leaderboard does, and what becomes of those that fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from pdm_builders import golden_scene

from wotempo.errors import UserError
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import Log, Scene
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.evaluation import NO_PLAN, NOT_FINITE, PDM_CLOSED, evaluate_scenes
from wotempo.pdm.metrics import METRICS


@pytest.fixture(scope="module")
def maps(golden_dir):
    return golden_dir / "navsim" / "maps"


@pytest.fixture(scope="module")
def scenes(golden_dir) -> list[Scene]:
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        return [golden_scene(dict(file), case) for case in range(3)]


def plans(scenes, **drivers):
    return {name: {scene.token: plan(scene) for scene in scenes} for name, plan in drivers.items()}


def by_driver(rows, driver):
    return [row for row in rows if row["driver"] == driver]


def test_every_driver_is_alone_with_the_reference(scenes, maps):
    both = evaluate_scenes(maps, scenes, plans(scenes, human=human_poses, still=constant_velocity_poses), closed=True)
    alone = evaluate_scenes(maps, scenes, plans(scenes, still=constant_velocity_poses))
    assert by_driver(both, "still") == alone
    assert all(row["valid"] and row["reason"] == "" for row in both)
    assert all(row["ade"] == 0 for row in by_driver(both, "human"))
    closed = by_driver(both, PDM_CLOSED)
    assert len(closed) == 3
    assert all(row["ego_progress"] in (0.0, 1.0) for row in closed), "it is its own measure"
    assert all(row["ade"] > 0 for row in closed)


def test_a_plan_that_is_not_finite_counts_as_zero(scenes, maps):
    def broken(scene):
        poses = human_poses(scene)
        return poses * np.nan if scene is scenes[1] else poses

    rows = evaluate_scenes(maps, scenes, plans(scenes, human=human_poses, broken=broken))
    good, bad = by_driver(rows, "human"), by_driver(rows, "broken")
    assert [row["valid"] for row in bad] == [True, False, True]
    assert bad[1]["reason"] == NOT_FINITE
    assert np.isnan(bad[1]["ade"])
    assert {bad[1][column] for column in METRICS["pdms"].columns.values()} == {0.0}
    for one, other in zip(good, bad, strict=True):
        if other["valid"]:
            assert {**one, "driver": ""} == {**other, "driver": ""}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"roadblock_ids": ("999999",)}, "999999"),
        ({"roadblock_ids": ()}, "has_route"),
    ],
)
def test_a_scene_that_cannot_be_scored_is_counted_for_every_driver(scenes, maps, change, reason):
    scene = scenes[0]
    frames = [replace(frame, **change) for frame in scene.log.frames]
    lost = replace(scene, log=Log(scene.log.name, scene.log.split, frames))
    rows = evaluate_scenes(maps, [lost, scenes[1]], plans([lost, scenes[1]], human=human_poses), closed=True)
    assert [(row["driver"], row["valid"]) for row in rows] == [
        ("human", False), (PDM_CLOSED, False), ("human", True), (PDM_CLOSED, True),
    ]  # fmt: skip
    assert reason in rows[0]["reason"]
    assert rows[0]["score"] == rows[1]["score"] == 0.0


@pytest.mark.parametrize(("column", "reason"), [(3, "a box is not finite"), (6, "a box is not finite")])
def test_a_box_that_is_not_finite_costs_its_own_scene(scenes, maps, column, reason):
    frames = list(scenes[0].log.frames)
    boxes = frames[0].boxes.boxes.copy()
    boxes[0, column] = np.nan
    frames[0] = replace(frames[0], boxes=replace(frames[0].boxes, boxes=boxes))
    lost = replace(scenes[0], log=Log(scenes[0].log.name, scenes[0].log.split, frames))
    rows = evaluate_scenes(maps, [lost, scenes[1]], plans([lost, scenes[1]], human=human_poses))
    assert [row["valid"] for row in rows] == [False, True]
    assert reason in rows[0]["reason"]
    assert lost.token not in rows[0]["reason"]


def test_what_a_library_raises_about_one_scene_costs_that_scene(scenes, maps, monkeypatch):
    from wotempo.pdm import evaluation

    whole = evaluation.plan_closed

    def planned(scene, *rest):
        if scene is scenes[1]:
            raise shapely.errors.GEOSException("IllegalArgumentException: Invalid number of points 664321.25")
        return whole(scene, *rest)

    monkeypatch.setattr(evaluation, "plan_closed", planned)
    rows = evaluate_scenes(maps, scenes, plans(scenes, human=human_poses), closed=True)
    assert [row["valid"] for row in by_driver(rows, "human")] == [True, False, True]
    assert by_driver(rows, PDM_CLOSED)[1]["reason"].startswith("GEOSException: IllegalArgumentException")


def test_a_plan_that_is_absent_or_out_of_range_costs_its_driver_alone(scenes, maps):
    driven = plans(scenes, human=human_poses, far=lambda scene: np.full((8, 3), 1e200), some=human_poses)
    del driven["some"][scenes[0].token]
    driven["some"][scenes[1].token] = "its camera file is missing"
    rows = evaluate_scenes(maps, scenes, driven)
    assert all(row["valid"] for row in by_driver(rows, "human"))
    assert [row["valid"] for row in by_driver(rows, "far")] == [False] * 3
    assert [row["reason"] for row in by_driver(rows, "some")] == [NO_PLAN, "its camera file is missing", ""]


def test_a_map_that_is_not_there_is_an_error(scenes, maps):
    scene = scenes[0]
    frames = [replace(frame, map_location="us-nv-nowhere") for frame in scene.log.frames]
    lost = replace(scene, log=Log(scene.log.name, scene.log.split, frames))
    with pytest.raises(UserError, match="us-nv-nowhere"):
        evaluate_scenes(maps, [lost], plans([lost], human=human_poses))


def test_too_few_future_frames_are_named(scenes, maps):
    scene = scenes[0]
    short = replace(scene, log=Log("log", "golden", scene.log.frames[: scene.index + 10]))
    (row,) = evaluate_scenes(maps, [short], plans([short], human=human_poses))
    assert not row["valid"]
    assert "num_future_frames" in row["reason"]


@pytest.mark.shared
@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_two_drivers_of_all_reference_scenes(shared_dir, metric):
    """From log and map to the rows that the official evaluation writes."""
    root = shared_dir / "golden" / "navsim"
    with np.load(root / ("pdm_v11_dev.npz" if metric == "pdms" else "epdms_v22_dev.npz")) as file:
        golden = dict(file)
    logs = [read_log(path, "golden") for path in sorted((root / "navsim_logs" / "golden").glob("*.pkl"))]
    found = {frame.token: Scene(log, index) for log in logs for index, frame in enumerate(log.frames)}
    names = golden["result_fields" if metric == "pdms" else "fields"].tolist()
    compared = 0
    for row, token in enumerate(golden["tokens"]):
        scene = found[token]
        driven = plans([scene], human=human_poses, constant_velocity=constant_velocity_poses)
        for got in evaluate_scenes(root / "maps", [scene], driven, metric):
            official = dict(zip(names, golden[got["driver"]][row], strict=True))
            for column in METRICS[metric].columns.values():
                if column in official:
                    assert got[column] == pytest.approx(official[column], abs=1e-6), (token, got["driver"], column)
                    compared += 1
    assert compared == 24 * 2 * (7 if metric == "pdms" else 8)
