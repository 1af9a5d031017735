"""LiDAR sweeps of the town: one rotating sensor on the roof, cast against the same primitives as the cameras.

Real NAVSIM merges five sensors into one cloud; here the top one (id 0) stands for all. The ego itself is no primitive,
so it neither appears in the cloud nor hides anything.
"""

from __future__ import annotations

import numpy as np

from wotempo.city.primitives import (
    BODY,
    CABIN,
    COACH,
    COS,
    FACADE,
    FOLIAGE,
    HALF_L,
    HALF_W,
    LAMP,
    MATERIAL,
    PLAIN,
    SIN,
    STRIPES,
    Z0,
    Z1,
    X,
    Y,
)
from wotempo.city.raycast import BACK, CURVED, RIGHT, cast
from wotempo.city.scenery import Snapshot, take_snapshot
from wotempo.city.world import AXLE_HEIGHT, Actors, GroundClass, StaticWorld

ORIGIN = np.array([1.0, 0.0, 1.7])  # metres in the ego frame: on the roof
LIDAR_ID = 0  # "top"
AZIMUTHS = 1800
MAX_RANGE = 100.0  # metres
RANGE_NOISE = 0.015  # metres, one standard deviation

# 40 beams from the lowest (ring 0) up, dense about the horizon as on the sensors of the real cars.
BEAMS = np.deg2rad(np.concatenate(([-25, -19], np.arange(-14, -6), np.linspace(-6, 2, 25), [3, 5, 8, 11, 15])))
_STEP = 2 * np.pi / AZIMUTHS  # column k looks along the azimuth k·_STEP, counter-clockwise from ego x


def _directions() -> np.ndarray:
    """(beams, azimuths, 3) float32 unit vectors."""
    elevation, azimuth = BEAMS[:, None], np.arange(AZIMUTHS) * _STEP
    flat = np.cos(elevation)
    up = np.broadcast_to(np.sin(elevation), (len(BEAMS), AZIMUTHS))
    return np.stack((flat * np.cos(azimuth), flat * np.sin(azimuth), up), -1).astype(np.float32)


_RAYS = _directions()

# Reflected intensity (0..255) of a surface that is met head-on, and how much of it mirrors the beam away.
_SURFACE = {
    PLAIN: (50, 0.0),
    FACADE: (70, 0.0),
    FOLIAGE: (45, 0.08),
    BODY: (90, 0.03),
    CABIN: (35, 0.35),  # glass
    COACH: (90, 0.05),
    STRIPES: (220, 0.0),  # reflective sheeting
    LAMP: (40, 0.0),
}
_BRIGHTNESS = np.array([_SURFACE[material][0] for material in range(len(_SURFACE))])
_MIRRORED = np.array([_SURFACE[material][1] for material in range(len(_SURFACE))])
_GROUND_BRIGHTNESS = np.full(len(GroundClass), 26.0)
_GROUND_BRIGHTNESS[[GroundClass.MARKING_WHITE, GroundClass.CROSSWALK, GroundClass.STOP_LINE]] = 120.0
_GROUND_BRIGHTNESS[[GroundClass.MARKING_YELLOW, GroundClass.WALKWAY, GroundClass.GRASS]] = 95.0, 48.0, 60.0


def scan_lidar(
    world: StaticWorld, actors: Actors, ego_pose: np.ndarray, ego_z: float = AXLE_HEIGHT, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One sweep from an ego at global ``ego_pose`` (x, y, heading): xyz (n, 3) float32 in the ego frame, intensity,
    ring and lidar id (n,) uint8. ``seed`` fixes noise and lost returns."""
    return scan_snapshot(take_snapshot(world, actors, ego_pose, ego_z), seed)


def scan_snapshot(snapshot: Snapshot, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As ``scan_lidar``, from a snapshot that several sensors of one frame share."""
    distance, hit, face, primitives = trace(snapshot)
    beam, column = np.nonzero(distance < MAX_RANGE)
    distance, hit, face = distance[beam, column], hit[beam, column], face[beam, column]
    rays = _RAYS[beam, column]
    cosine, brightness, mirrored = _reflection(snapshot, primitives, rays, distance, hit, face)

    # Drawn for every ray of the sweep, so that one thing's noise does not depend on what else is there.
    random = np.random.default_rng(seed)
    noise = RANGE_NOISE * random.standard_normal(_RAYS.shape[:2], dtype=np.float32)[beam, column]
    luck = random.random(_RAYS.shape[:2], dtype=np.float32)[beam, column]
    far = distance / MAX_RANGE
    lost = 0.01 + mirrored + 0.5 * far**2 + 0.8 * far * (1.0 - cosine) ** 4
    kept = luck >= lost

    xyz = ORIGIN + (distance + noise)[:, None] * rays
    intensity = np.clip(brightness * (0.35 + 0.65 * cosine) * (0.85 + 0.3 * luck), 0, 255)
    ring = beam[kept].astype(np.uint8)
    return xyz[kept].astype(np.float32), intensity[kept].astype(np.uint8), ring, np.full_like(ring, LIDAR_ID)


def trace(snapshot: Snapshot) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What every beam meets first: distance (beams, azimuths) float32 in metres (inf: nothing), hit int32 (row of the
    returned primitives, -1: ground or nothing), face uint8, and the primitives in the order that ``hit`` counts."""
    windows, nearest = beam_windows(snapshot.primitives)
    visible = np.flatnonzero((nearest < MAX_RANGE) & (windows[:, 0] < windows[:, 1]))
    order = visible[np.argsort(nearest[visible], kind="stable")]
    primitives = snapshot.primitives[order]
    descending = BEAMS < 0
    ground = np.where(descending, (snapshot.ground_z - ORIGIN[2]) / np.where(descending, np.sin(BEAMS), -1.0), np.inf)
    distance = np.repeat(ground[:, None], AZIMUTHS, axis=1).astype(np.float32)
    hit = np.full(distance.shape, -1, dtype=np.int32)
    face = np.zeros(distance.shape, dtype=np.uint8)
    cast(ORIGIN, _RAYS, primitives, windows[order], nearest[order], distance, hit, face)
    return distance, hit, face, primitives


def beam_windows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The beams and azimuths that can meet each primitive, as ``cast`` wants them: windows (M, 4) int64, and a lower
    bound of its distance (M,)."""
    dx, dy = ORIGIN[0] - rows[:, X], ORIGIN[1] - rows[:, Y]
    local_x = rows[:, COS] * dx + rows[:, SIN] * dy
    local_y = rows[:, COS] * dy - rows[:, SIN] * dx
    half_l, half_w = rows[:, HALF_L], rows[:, HALF_W]
    close = np.hypot(np.maximum(np.abs(local_x) - half_l, 0.0), np.maximum(np.abs(local_y) - half_w, 0.0))
    wide = np.hypot(np.abs(local_x) + half_l, np.abs(local_y) + half_w)

    low, high = rows[:, Z0] - ORIGIN[2], rows[:, Z1] - ORIGIN[2]
    bottom = np.arctan2(low, np.where(low < 0, close, wide))
    top = np.arctan2(high, np.where(high > 0, close, wide))
    nearest = np.hypot(close, np.maximum(np.maximum(low, -high), 0.0))

    # Angles of the corners about the bearing of the centre: less than half a turn apart unless we stand inside.
    bearing = np.arctan2(-local_y, -local_x)
    corner_x = np.array([1, 1, -1, -1]) * half_l[:, None] - local_x[:, None]
    corner_y = np.array([1, -1, 1, -1]) * half_w[:, None] - local_y[:, None]
    spread = np.arctan2(corner_y, corner_x) - bearing[:, None]
    spread = np.arctan2(np.sin(spread), np.cos(spread))
    bearing = bearing + np.arctan2(rows[:, SIN], rows[:, COS])
    first = np.ceil((bearing + spread.min(1)) / _STEP - 1e-6).astype(np.int64)
    last = np.floor((bearing + spread.max(1)) / _STEP + 1e-6).astype(np.int64) + 1
    inside = close == 0.0
    first, last = np.where(inside, 0, first), np.where(inside, AZIMUTHS, last)
    turn = first % AZIMUTHS - first
    # A millionth of a radian more: the rays are float32
    rings = np.searchsorted(BEAMS, bottom - 1e-6), np.searchsorted(BEAMS, top + 1e-6, side="right")
    return np.stack((*rings, first + turn, last + turn), -1), nearest


def _reflection(
    snapshot: Snapshot,
    primitives: np.ndarray,
    rays: np.ndarray,
    distance: np.ndarray,
    hit: np.ndarray,
    face: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per return (n,): cosine of incidence, head-on intensity, share of beams mirrored away. Tapers and curvature are
    left out of the cosine: it only dims the intensity."""
    cosine = np.abs(rays[:, 2]).astype(np.float64)  # ground, roofs
    brightness = np.empty(len(hit))
    mirrored = np.zeros(len(hit))
    on_ground = hit < 0
    points = ORIGIN[:2] + distance[on_ground, None] * rays[on_ground, :2]
    brightness[on_ground] = _GROUND_BRIGHTNESS[_ground_classes(snapshot, points)]

    solid = ~on_ground
    row, side, ray = hit[solid], face[solid], rays[solid]
    cos, sin = primitives[row, COS], primitives[row, SIN]
    along, across = np.abs(cos * ray[:, 0] + sin * ray[:, 1]), np.abs(cos * ray[:, 1] - sin * ray[:, 0])
    flat = np.where(side <= BACK, along, np.where(side <= RIGHT, across, cosine[solid]))
    cosine[solid] = np.where(side == CURVED, 0.7, flat)
    material = primitives[row, MATERIAL].astype(int)
    brightness[solid] = _BRIGHTNESS[material]
    mirrored[solid] = np.where(side <= RIGHT, _MIRRORED[material], 0.0)
    return cosine, brightness, mirrored


def _ground_classes(snapshot: Snapshot, points: np.ndarray) -> np.ndarray:
    """(n,) GroundClass of ego-frame points (n, 2); grass beyond the raster."""
    x, y, cos, sin = snapshot.place
    cell, ground = snapshot.world.ground_cell, snapshot.world.ground
    column = np.floor((x + cos * points[:, 0] - sin * points[:, 1]) / cell).astype(np.int64)
    row = np.floor((y + sin * points[:, 0] + cos * points[:, 1]) / cell).astype(np.int64)
    inside = (row >= 0) & (row < ground.shape[0]) & (column >= 0) & (column < ground.shape[1])
    return np.where(inside, ground[np.where(inside, row, 0), np.where(inside, column, 0)], GroundClass.GRASS)
