"""The prepared geometry for rendering: once per district (``Scenery``) and once per frame (``Snapshot``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from wotempo.city.sensors.primitives import PLAIN, actor_primitives, static_primitives, to_ego, whole_boxes
from wotempo.city.sensors.shade import MIXED
from wotempo.city.sensors.world import Actors, GroundClass, SolidKind, StaticWorld

VIEW_RANGE = 180.0  # metres from the ego beyond which nothing but ground and sky is drawn
SHADOW_RANGE = 60.0  # metres; further away a road user's shadow is thinner than a pixel
_TONE_CELL = 0.25  # metres of the coarse brightness raster

# To the sun, fixed in the world: mid-morning, 50° high.
_AZIMUTH, _ELEVATION = np.deg2rad(125.0), np.deg2rad(50.0)
SUN = np.array([np.cos(_AZIMUTH) * np.cos(_ELEVATION), np.sin(_AZIMUTH) * np.cos(_ELEVATION), np.sin(_ELEVATION)])

_PALETTE = {
    GroundClass.GRASS: (104, 122, 74),
    GroundClass.ROAD: (92, 93, 96),
    GroundClass.INTERSECTION: (86, 87, 90),
    GroundClass.MARKING_WHITE: (222, 222, 218),
    GroundClass.WALKWAY: (158, 153, 145),
    GroundClass.CROSSWALK: (214, 214, 210),
    GroundClass.CAR_PARK: (108, 108, 112),
    GroundClass.STOP_LINE: (226, 226, 222),
    GroundClass.MARKING_YELLOW: (214, 174, 60),
}
PALETTE = np.array([_PALETTE[name] for name in GroundClass], dtype=np.float64) / 255.0


@dataclass(frozen=True)
class Scenery:
    """A district made ready: primitives in the district frame and the baked brightness of its ground."""

    primitives: np.ndarray  # (M,)
    ground: np.ndarray  # (H, W) uint8: GroundClass, plus MIXED where the neighbourhood holds several
    tone: np.ndarray  # (h, w) float32: shadows of buildings and trees, patches and stains
    tone_ratio: float  # ground cells per tone cell


@dataclass(frozen=True)
class Snapshot:
    """One instant, in the ego frame."""

    primitives: np.ndarray  # (M,) within VIEW_RANGE
    casters: np.ndarray  # (S,) whole boxes of the road users near enough to see their shadow
    place: np.ndarray  # (4,) x, y, cos, sin of the ego in the district frame
    ground_z: float
    sun: np.ndarray  # (3,)
    world: StaticWorld
    scenery: Scenery


@lru_cache(maxsize=1)  # a whole log is rendered in one district
def prepare(world: StaticWorld) -> Scenery:
    """The scenery of ``world``."""
    ratio = _TONE_CELL / world.ground_cell
    return Scenery(static_primitives(world), _mark_mixed(world.ground), _bake_tone(world, ratio), ratio)


def take_snapshot(world: StaticWorld, actors: Actors, ego_pose: np.ndarray, ego_z: float) -> Snapshot:
    """``ego_pose`` (3,) float64 global x, y, heading of the rear axle, ``ego_z`` its global height."""
    scenery = prepare(world)
    place = (ego_pose[0] - world.ground_origin[0], ego_pose[1] - world.ground_origin[1], ego_pose[2])
    rows = np.concatenate((scenery.primitives, actor_primitives(actors, world.ground_origin)))
    reach = np.hypot(rows["half_l"], rows["half_w"])
    near = np.hypot(rows["x"] - place[0], rows["y"] - place[1]) - reach < VIEW_RANGE
    boxes = actors.boxes - np.array([*world.ground_origin, 0, 0, 0, 0, 0])
    shady = np.hypot(boxes[:, 0] - place[0], boxes[:, 1] - place[1]) < SHADOW_RANGE
    cos, sin = np.cos(place[2]), np.sin(place[2])
    return Snapshot(
        primitives=to_ego(rows[near], place, ego_z),
        casters=to_ego(whole_boxes(boxes[shady], PLAIN, (0, 0, 0)), place, ego_z),
        place=np.array([place[0], place[1], cos, sin]),
        ground_z=-ego_z,
        sun=np.array([cos * SUN[0] + sin * SUN[1], cos * SUN[1] - sin * SUN[0], SUN[2]]),
        world=world,
        scenery=scenery,
    )


def _mark_mixed(ground: np.ndarray) -> np.ndarray:
    around = np.ones((3, 3), np.uint8)
    mixed = cv2.dilate(ground, around) != cv2.erode(ground, around)
    return ground | (mixed * np.uint8(MIXED))


def _bake_tone(world: StaticWorld, ratio: float) -> np.ndarray:
    """(h, w) float32 brightness: shadows of the standing things, and patches as old asphalt has them."""
    shape = tuple(int(np.ceil(n / ratio)) for n in world.ground.shape)
    shadows = np.zeros(shape, dtype=np.uint8)
    for solid in world.solids.astype(np.float64):
        outline = _tree_outline(solid) if solid[10] == SolidKind.TREE else _box_outline(solid)
        # OpenCV's integer pixel coordinates are centres; four fractional bits
        corners = np.round((outline / _TONE_CELL - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(shadows, cv2.convexHull(corners), 255, cv2.LINE_AA, shift=4)
    shadow = cv2.GaussianBlur(shadows, (0, 0), 1.0).astype(np.float32) / 255.0
    noise = np.random.default_rng(5)
    tone = np.ones(shape, dtype=np.float32)
    for cells, strength in ((12, 0.03), (48, 0.04)):  # patches of 3 m and 12 m
        coarse = noise.standard_normal((shape[0] // cells + 2, shape[1] // cells + 2)).astype(np.float32)
        tone += strength * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return tone * (1.0 - 0.42 * shadow)


def _box_outline(solid: np.ndarray) -> np.ndarray:
    """District points whose hull is the shadow of a solid box on the ground, its footprint included."""
    cos, sin = np.cos(solid[6]), np.sin(solid[6])
    half = solid[4:6] / 2 * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    corners = solid[:2] + half @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([corners - SUN[:2] / SUN[2] * z for z in (solid[2], solid[3])])


def _tree_outline(solid: np.ndarray) -> np.ndarray:
    """The same for the crown of a tree (its upper three quarters)."""
    low, high = solid[2] + 0.25 * (solid[3] - solid[2]), solid[3]
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = 0.5 * np.column_stack((solid[4] * np.cos(angle), solid[5] * np.sin(angle)))
    spread = 0.3 * (high - low)  # how far along the sun's way the crown is wide
    return np.concatenate([solid[:2] + ring - SUN[:2] / SUN[2] * ((low + high) / 2 + s) for s in (-spread, spread)])
