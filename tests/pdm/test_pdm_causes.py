"""Why a sub-score is lost: the object, the time and the place that the scorer itself found."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from pdm_builders import golden_scene, make_areas, make_context, make_frame, make_object, straight

from wotempo.pdm.areas import AreaKind
from wotempo.pdm.causes import pdms_causes
from wotempo.pdm.evaluation import evaluate_scenes
from wotempo.pdm.metrics import METRICS, PDMS_COLUMNS
from wotempo.pdm.score import score
from wotempo.pdm.simulate import simulate

FRAMES = [
    make_frame(boxes=np.zeros((2, 7)), names=["pedestrian", "traffic_cone"], tracks=["t1", "t2"]),
    make_frame(1, boxes=np.zeros((1, 7)), names=["vehicle"], tracks=["t1"]),
]


def causes_of(context, poses, frames=FRAMES):
    """short name -> cause, of one plan."""
    states = simulate(context.ego, poses)
    found = score(context, states)
    values = {name: float(getattr(found, name)[0]) for name in PDMS_COLUMNS}
    causes = pdms_causes(context, frames, states, values)
    return values, {cause.sub_score: cause for cause in causes}


@pytest.mark.parametrize(
    ("track", "agent", "kind", "nc"), [("t1", True, "pedestrian", 0.0), ("t2", False, "traffic_cone", 0.5)]
)
def test_the_object_that_is_hit_is_named_by_its_first_class(track, agent, kind, nc):
    context = make_context(make_object(30.0, 40.0), make_object(15.0, 0.5, agent=agent, stopped=True))
    context = replace(context, objects=replace(context.objects, tracks=("other", track)))
    values, causes = causes_of(context, straight(5.0))
    assert values["nc"] == nc
    hit = causes["nc"]
    assert (hit.kind, hit.track, hit.ahead, hit.left, hit.x, hit.y) == (kind, track, 15.0, 0.5, 15.0, 0.5)
    # The front of the ego is 4.05 m before its rear axle; the object begins at 13 m; 5 m/s.
    assert hit.seconds == pytest.approx((13.0 - 4.05) / 5.0, abs=0.11)
    assert shapely.Polygon(hit.ego_box).intersects(shapely.Polygon(hit.object_box))
    assert causes["ttc"].seconds < hit.seconds
    assert causes["ttc"].track == track
    assert f"nc: {kind} {track} at {hit.seconds} s, 15.0 m ahead, 0.5 m left" in str(hit)


def test_the_road_that_ends_and_the_lane_that_is_not_the_routes():
    road = make_areas(
        (AreaKind.ROADBLOCK, shapely.box(-100, -100, 16, 100), False),
        (AreaKind.LANE, shapely.box(-100, -100, 8, 100), True),
    )
    values, causes = causes_of(make_context(areas=road), straight(5.0))
    assert (values["dac"], values["ddc"], values["ep"]) == (0, 0.5, 0)
    assert causes["dac"].kind == "off the drivable area"
    assert causes["dac"].seconds == pytest.approx((16 - 4.05) / 5.0, abs=0.11)
    assert causes["ddc"].ahead > 8
    assert causes["ep"].kind == "void by dac"
    assert causes["ep"].seconds is None


def test_braking_hard_is_uncomfortable_from_its_first_step_on():
    poses = straight(10.0)
    poses[0, 4:, 0] = poses[0, 3, 0] + 0.1
    values, causes = causes_of(make_context(speed=10.0), poses)
    assert values["comfort"] == 0
    assert "lon_accel -" in causes["comfort"].kind
    assert 0 <= causes["comfort"].seconds < 4.0
    assert causes_of(make_context(), straight(5.0))[1] == {}, "a plan that loses nothing has nothing to explain"


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_every_lost_sub_score_has_its_cause_and_no_other(golden_dir, metric):
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        golden = dict(file)
    scenes = [golden_scene(golden, case) for case in range(3)]
    if metric == "epdms":  # it looks at three frames of the past: so many are put before the golden ones
        scenes = [with_past(scene) for scene in scenes]
    plans = {f"anchor{k}": {s.token: golden["proposals"][0, k] for s in scenes} for k in range(0, 64, 6)}
    short = {official: name for name, official in METRICS[metric].columns.items()}
    lost_in_all = set()
    for scene in scenes:  # each alone: they are of three logs
        for row in evaluate_scenes(golden_dir / "navsim" / "maps", [scene], plans, metric):
            assert row["valid"], row["reason"]
            lost = {short[c] for c in short if short[c] not in ("ep", "score") and row[c] < 1}
            lost |= {"ep"} if row["ego_progress"] == 0 else set()
            causes = json.loads(row["causes"])
            assert {cause["sub_score"] for cause in causes} == lost
            assert (row["why"] == "") == (not lost)
            for cause in causes:
                if cause["sub_score"] == "nc":
                    assert (
                        shapely.Polygon(cause["ego_box"]).buffer(0.02).intersects(shapely.Polygon(cause["object_box"]))
                    )
                    assert cause["track"] in {t for f in scene.log.frames for t in f.boxes.track_tokens}
            lost_in_all |= lost
    assert {"nc", "dac", "ttc", "comfort" if metric == "pdms" else "hc"} <= lost_in_all


def with_past(scene):
    first = scene.log.frames[0]
    past = [replace(first, token=f"past{k}", timestamp_us=first.timestamp_us - 500_000 * k) for k in (3, 2, 1)]
    return replace(scene, log=replace(scene.log, frames=[*past, *scene.log.frames]), index=3, num_history=4)
