"""What must hold for any scene: nothing but the scene itself decides, and every row stands alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pdm_builders import golden_scene, make_areas, start_state

from wotempo.maps import read_map
from wotempo.pdm.areas import AreaKind, AreaMap, ego_areas
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import SubScores, score
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import HEADING, box_points

ALONE = ("nc", "dac", "ttc", "comfort", "ddc", "progress_raw")
ALL = (*ALONE, "ep", "score")


@pytest.fixture(scope="module", params=range(3))
def scene(request, golden_dir):
    """A context and 64 proposals (64, 8, 3)."""
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        golden = dict(file)
    town = read_map(golden_dir / "navsim" / "maps", "us-nv-las-vegas-strip")
    return SceneContext.build(golden_scene(golden, request.param), town), golden["proposals"][request.param]


def scored(context: SceneContext, poses: np.ndarray) -> SubScores:
    return score(context, simulate(context.ego, poses, start_us=context.start_us))


def same(one: SubScores, other: SubScores, names=ALL, order=slice(None), atol=0.0) -> None:
    for name in names:
        np.testing.assert_allclose(getattr(one, name)[order], getattr(other, name), rtol=0, atol=atol, err_msg=name)


def moved(context: SceneContext, angle: float, shift: np.ndarray) -> SceneContext:
    """The same world, turned about the ego's start and shifted."""
    centre = context.ego[:HEADING]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def move(xy):
        return (xy - centre) @ turn.T + centre + shift

    ego, line = context.ego.copy(), context.centreline.copy()
    ego[:HEADING], line[:, :2] = move(ego[:HEADING]), move(line[:, :2])
    ego[HEADING] = np.arctan2(np.sin(ego[HEADING] + angle), np.cos(ego[HEADING] + angle))
    line[:, 2] += angle
    objects = replace(context.objects, corners=move(context.objects.corners))
    areas = replace(context.areas, polygons=shapely.transform(context.areas.polygons, move))
    return replace(context, ego=ego, objects=objects, areas=areas, centreline=line)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(angle=st.floats(-np.pi, np.pi), east=st.floats(-1e5, 1e5), north=st.floats(-1e5, 1e5))
def test_north_and_origin_do_not_matter(scene, angle, east, north):
    context, poses = scene
    same(scored(context, poses), scored(moved(context, angle, np.array([east, north])), poses), atol=1e-6)


@pytest.mark.parametrize("side", [-1e-9, 0.0, 1e-9])
def test_a_world_that_heads_along_the_cut_of_the_angles(scene, side):
    """The ego starts at heading ±π: everybody's heading crosses the jump."""
    context, poses = scene
    turned = moved(context, np.pi - context.ego[HEADING] + side, np.zeros(2))
    assert abs(abs(turned.ego[HEADING]) - np.pi) < 1e-6
    same(scored(context, poses), scored(turned, poses), atol=1e-6)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_proposals_may_come_in_any_order(scene, seed):
    context, poses = scene
    order = np.random.default_rng(seed).permutation(len(poses))
    same(scored(context, poses), scored(context, poses[order]), order=order)


def test_a_row_depends_on_the_others_through_the_best_progress_only(scene):
    context, poses = scene
    together = scored(context, poses)
    best = float(together.masked_progress.max())
    for row in range(0, len(poses), 5):
        states = simulate(context.ego, poses[row : row + 1], start_us=context.start_us)
        same(together, score(context, states, reference_progress=best), order=slice(row, row + 1))


def test_an_empty_world_has_no_collisions_and_no_road(scene):
    context, poses = scene
    objects = context.objects
    nobody = replace(objects, **{name: getattr(objects, name)[..., :0] for name in ("is_agent", "is_stopped")})
    nobody = replace(nobody, corners=objects.corners[:, :0], present=objects.present[:, :0])
    nowhere = AreaMap(np.zeros(0, object), np.zeros(0, np.uint8), np.zeros(0, bool))
    free = scored(replace(context, objects=nobody), poses)
    assert (free.nc == 1).all()
    assert (free.ttc == 1).all()
    lost = scored(replace(context, objects=nobody, areas=nowhere), poses)
    assert (lost.dac == 0).all()
    assert (lost.score == 0).all()


@pytest.mark.parametrize("overlap", [0.0, 1e-7])
def test_a_corner_on_the_seam_of_two_polygons_is_on_neither(overlap):
    """Abutting areas leave a line between them that is not drivable; a hair of overlap closes it."""
    corner = box_points(start_state())[0, 0]
    left = (AreaKind.ROADBLOCK, shapely.box(-50, -50, corner + overlap, 50), False)
    right = (AreaKind.ROADBLOCK, shapely.box(corner, -50, 50, 50), False)
    state = start_state()[None, None]
    flags = ego_areas(make_areas(left, right), box_points(state), state[..., :2])
    assert bool(flags.non_drivable[0, 0]) == (overlap == 0.0)


def test_degenerate_polygons_hold_nothing_and_break_nothing(scene):
    context, poses = scene
    x, y = context.ego[:2]
    flat = [shapely.Polygon(), shapely.Polygon([(x, y), (x + 9, y), (x, y)]), shapely.MultiPolygon()]
    areas = context.areas
    more = replace(
        areas,
        polygons=np.array([*areas.polygons, *flat], object),
        kind=np.append(areas.kind, [AreaKind.ROADBLOCK] * 3).astype(np.uint8),
        on_route=np.append(areas.on_route, [False] * 3),
    )
    same(scored(context, poses), scored(replace(context, areas=more), poses))


def test_states_that_are_not_finite_are_refused(scene):
    context, poses = scene
    poses = poses.copy()
    poses[3, 4, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        scored(context, poses)
