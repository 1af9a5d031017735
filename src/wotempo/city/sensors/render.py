"""Camera images of the town: pinhole rays, the shared ray caster, then shading.

A frame is rendered at 480×270, a quarter of NAVSIM's 1920×1080, and enlarged (see ``sensors``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from wotempo.city.sensors.antialias import antialias
from wotempo.city.sensors.raycast import first_hits, ground_depth
from wotempo.city.sensors.rig import IMAGE_WIDTH
from wotempo.city.sensors.scenery import PALETTE, SHADOW_RANGE, Snapshot
from wotempo.city.sensors.shade import shade, shadow
from wotempo.navsim.schema import Camera

RENDER_HEIGHT, RENDER_WIDTH = 270, 480
_NEAR = 0.05  # metres in front of the lens where geometry is clipped

# The eight corners of a unit box and its twelve edges as pairs of corners.
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, 1)], dtype=float)
_EDGES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8) if np.sum(_CORNERS[a] != _CORNERS[b]) == 1])


def scaled_intrinsics(intrinsics: np.ndarray, scale: float) -> np.ndarray:
    """(3, 3) intrinsics of the image enlarged by ``scale`` (¼: shrunk). Pixel centres are integers, so the corner of
    an image is at −½ and c' = (c + ½)·scale − ½, which is also how ``cv2.resize`` places pixels."""
    scaled = intrinsics * scale
    scaled[:2, 2] = (intrinsics[:2, 2] + 0.5) * scale - 0.5
    scaled[2, 2] = 1.0
    return scaled


def render_view(snapshot: Snapshot, camera: Camera) -> np.ndarray:
    """(270, 480, 3) uint8 RGB of what ``camera`` sees, whose intrinsics are those of the 1920 pixels wide image."""
    view = view_of(camera)
    depth, hit, face, primitives = trace(snapshot, view)
    light = np.ones(depth.shape, dtype=np.float32)
    windows, nearest = screen_windows(_shadow_bounds(snapshot), view)
    seen = nearest < SHADOW_RANGE
    shadow(view.origin, view.rays, depth, hit, snapshot.casters[seen], windows[seen], snapshot.sun, light)
    world, scenery = snapshot.world, snapshot.scenery
    ground = (scenery.ground, float(world.ground_cell), PALETTE, scenery.tone, scenery.tone_ratio)
    colours = np.empty((*depth.shape, 3), dtype=np.float32)
    surfaces = (depth, hit, face, primitives)
    shade(
        view.origin,
        view.rays,
        float(view.intrinsics[0, 0]),
        *surfaces,
        *ground,
        snapshot.place,
        light,
        snapshot.sun,
        colours,
    )
    image = np.empty(colours.shape, dtype=np.uint8)
    antialias(view.origin, view.rays, snapshot.ground_z, primitives, depth, hit, face, colours, image)
    return image


def same_view(first: Snapshot, second: Snapshot, camera: Camera) -> bool:
    """Whether two snapshots from one place hold the same for ``camera``: all that it may see, shadows included."""
    view, seen = view_of(camera), []
    for snapshot in (first, second):
        windows, near = screen_windows(snapshot.primitives, view)
        shade_windows, shade_near = screen_windows(_shadow_bounds(snapshot), view)
        shown, cast = np.isfinite(near), shade_near < SHADOW_RANGE
        seen.append((snapshot.primitives[shown], windows[shown], snapshot.casters[cast], shade_windows[cast]))
    return all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))


@dataclass(frozen=True)
class View:
    """A camera's rays in the ego frame; a ray's t is the depth along the optical axis."""

    origin: np.ndarray  # (3,)
    rotation: np.ndarray  # (3, 3) camera -> ego
    intrinsics: np.ndarray  # (3, 3) of the rendered size
    rays: np.ndarray  # (H, W, 3) float32


def view_of(camera: Camera) -> View:
    """The view of ``camera``; cached, because a rig does not change from frame to frame."""
    return _view(*(tuple(a.ravel().tolist()) for a in (camera.translation, camera.rotation, camera.intrinsics)))


@lru_cache(maxsize=16)
def _view(origin: tuple[float, ...], rotation: tuple[float, ...], intrinsics: tuple[float, ...]) -> View:
    matrix = scaled_intrinsics(np.reshape(intrinsics, (3, 3)), RENDER_WIDTH / IMAGE_WIDTH)
    camera_to_ego = np.reshape(rotation, (3, 3))
    u, v = np.meshgrid(np.arange(RENDER_WIDTH), np.arange(RENDER_HEIGHT))
    local = np.stack((u, v, np.ones_like(u)), -1) @ np.linalg.inv(matrix).T
    rays = np.ascontiguousarray(local @ camera_to_ego.T, dtype=np.float32)
    return View(np.array(origin), camera_to_ego, matrix, rays)


def trace(snapshot: Snapshot, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What every ray meets first: depth (H, W) float32 (inf: sky), hit (H, W) int32 (row of the returned primitives,
    -1: ground or sky), face (H, W) uint8, and the primitives in the order that ``hit`` counts."""
    windows, nearest = screen_windows(snapshot.primitives, view)
    depth = ground_depth(view.rays[..., 2], snapshot.ground_z - view.origin[2])
    seen = np.isfinite(nearest)
    return depth, *first_hits(view.origin, view.rays, snapshot.primitives, windows, nearest, seen, depth)


def screen_windows(rows: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that each primitive can cover, as ``cast`` wants them: windows (M, 4) int64, and its least depth (M,).

    The depth is inf, and the window empty, for what lies behind the camera or outside of the image.
    """
    height, width = view.rays.shape[:2]
    windows, nearest = np.zeros((len(rows), 4), dtype=np.int64), np.full(len(rows), np.inf)
    seen = np.flatnonzero(_in_frustum(rows, view))
    rows = rows[seen]
    half = np.stack((rows["half_l"], rows["half_w"], rows["z1"] - rows["z0"]), -1)
    local = _CORNERS * half[:, None]  # (M, 8, 3) in the primitive's own axes
    cos, sin = rows["cos"][:, None], rows["sin"][:, None]
    x = rows["x"][:, None] + cos * local[..., 0] - sin * local[..., 1]
    y = rows["y"][:, None] + sin * local[..., 0] + cos * local[..., 1]
    points = (np.stack((x, y, rows["z0"][:, None] + local[..., 2]), -1) - view.origin) @ view.rotation  # camera axes

    deep = points[..., 2]
    low, high = np.full((len(rows), 2), np.inf), np.full((len(rows), 2), -np.inf)
    whole = deep.min(1) >= _NEAR
    pixels = _pixels(points[whole], view)
    low[whole], high[whole] = pixels.min(1), pixels.max(1)
    for i in np.flatnonzero(~whole & (deep.max(1) > _NEAR)):  # reaches behind the lens: clip its edges
        start, end = points[i, _EDGES[:, 0]], points[i, _EDGES[:, 1]]
        crossing = (start[:, 2] < _NEAR) != (end[:, 2] < _NEAR)
        start, end = start[crossing], end[crossing]
        s = (_NEAR - start[:, 2:]) / (end[:, 2:] - start[:, 2:])
        kept = _pixels(np.concatenate((start + s * (end - start), points[i, deep[i] >= _NEAR])), view)
        low[i], high[i] = kept.min(0), kept.max(0)

    size = np.array([width, height])
    first, last = np.clip(np.ceil(low), 0, size), np.clip(np.floor(high) + 1, 0, size)
    shown = (first < last).all(1)
    nearest[seen[shown]] = np.maximum(deep.min(1), 0.0)[shown]
    windows[seen[shown]] = np.stack((first[:, 1], last[:, 1], first[:, 0], last[:, 0]), -1)[shown]
    return windows, nearest


def _in_frustum(rows: np.ndarray, view: View) -> np.ndarray:
    """Whether the ball around each primitive reaches between the planes through the image's left and right sides."""
    half_height = (rows["z1"] - rows["z0"]) / 2
    reach = np.sqrt(rows["half_l"] ** 2 + rows["half_w"] ** 2 + half_height**2)
    centre = np.stack((rows["x"], rows["y"], rows["z0"] + half_height), -1) - view.origin
    inside = np.ones(len(rows), dtype=bool)
    for column in (0, -1):
        normal = np.cross(view.rays[0, column], view.rays[-1, column])
        normal /= np.linalg.norm(normal) * np.sign(normal @ view.rotation[:, 2])
        inside &= centre @ normal + reach > -_NEAR
    return inside


def _pixels(points: np.ndarray, view: View) -> np.ndarray:
    """Camera-frame points (..., 3) in front of the lens -> (..., 2) pixels."""
    return (points @ view.intrinsics.T)[..., :2] / points[..., 2:]


def _shadow_bounds(snapshot: Snapshot) -> np.ndarray:
    """Flat boxes on the ground that hold the shadow of each caster, contact shadow included."""
    bounds = snapshot.casters.copy()
    height = bounds["z1"] - snapshot.ground_z
    reach_x, reach_y = -snapshot.sun[0] / snapshot.sun[2] * height, -snapshot.sun[1] / snapshot.sun[2] * height
    bounds["x"] += reach_x / 2
    bounds["y"] += reach_y / 2
    along = np.abs(bounds["cos"] * reach_x + bounds["sin"] * reach_y)
    across = np.abs(bounds["cos"] * reach_y - bounds["sin"] * reach_x)
    bounds["half_l"] += along / 2 + 0.5
    bounds["half_w"] += across / 2 + 0.5
    bounds["z0"] = bounds["z1"] = snapshot.ground_z
    return bounds
