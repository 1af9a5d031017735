"""LiDAR sweeps of the town: one rotating sensor on the roof, cast against the same primitives as the cameras.

Real NAVSIM merges five sensors into one cloud; here the top one (id 0) stands for all. The ego itself is no primitive,
so it neither appears in the cloud nor hides anything.
"""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.raycast import first_hits, ground_depth
from wotempo.city.sensors.returns import GROUND, SURFACES, receive
from wotempo.city.sensors.scenery import Snapshot

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


def scan_snapshot(snapshot: Snapshot, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One sweep: xyz (n, 3) float32 in the ego frame, intensity, ring and lidar id (n,) uint8. ``seed`` fixes noise and
    lost returns."""
    distance, hit, face, primitives = trace(snapshot)
    # Drawn for every ray of the sweep, so that one thing's noise does not depend on what else is there.
    random = np.random.default_rng(seed)
    noise = RANGE_NOISE * random.standard_normal(distance.shape, dtype=np.float32)
    luck = random.random(distance.shape, dtype=np.float32)
    xyz = np.empty((distance.size, 3), dtype=np.float32)
    intensity, ring = np.empty((2, distance.size), dtype=np.uint8)
    ground = (snapshot.world.ground, float(snapshot.world.ground_cell), snapshot.place)
    fate = (SURFACES, GROUND, noise, luck, MAX_RANGE)
    count = receive(ORIGIN, _RAYS, distance, hit, face, primitives, *ground, *fate, xyz, intensity, ring)
    return xyz[:count], intensity[:count], ring[:count], np.full(count, LIDAR_ID, dtype=np.uint8)


def trace(snapshot: Snapshot) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What every beam meets first: distance (beams, azimuths) float32 in metres (inf: nothing), hit int32 (row of the
    returned primitives, -1: ground or nothing), face uint8, and the primitives in the order that ``hit`` counts."""
    windows, nearest = beam_windows(snapshot.primitives)
    seen = (nearest < MAX_RANGE) & (windows[:, 0] < windows[:, 1])
    distance = np.repeat(ground_depth(np.sin(BEAMS), snapshot.ground_z - ORIGIN[2])[:, None], AZIMUTHS, axis=1)
    return distance, *first_hits(ORIGIN, _RAYS, snapshot.primitives, windows, nearest, seen, distance)


def beam_windows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The beams and azimuths that can meet each primitive, as ``cast`` wants them: windows (M, 4) int64, and a lower
    bound of its distance (M,)."""
    dx, dy = ORIGIN[0] - rows["x"], ORIGIN[1] - rows["y"]
    local_x = rows["cos"] * dx + rows["sin"] * dy
    local_y = rows["cos"] * dy - rows["sin"] * dx
    half_l, half_w = rows["half_l"], rows["half_w"]
    close = np.hypot(np.maximum(np.abs(local_x) - half_l, 0.0), np.maximum(np.abs(local_y) - half_w, 0.0))
    wide = np.hypot(np.abs(local_x) + half_l, np.abs(local_y) + half_w)

    low, high = rows["z0"] - ORIGIN[2], rows["z1"] - ORIGIN[2]
    bottom = np.arctan2(low, np.where(low < 0, close, wide))
    top = np.arctan2(high, np.where(high > 0, close, wide))
    nearest = np.hypot(close, np.maximum(np.maximum(low, -high), 0.0))

    # Angles of the corners about the bearing of the centre: less than half a turn apart unless we stand inside.
    bearing = np.arctan2(-local_y, -local_x)
    corner_x = np.array([1, 1, -1, -1]) * half_l[:, None] - local_x[:, None]
    corner_y = np.array([1, -1, 1, -1]) * half_w[:, None] - local_y[:, None]
    spread = np.arctan2(corner_y, corner_x) - bearing[:, None]
    spread = np.arctan2(np.sin(spread), np.cos(spread))
    bearing = bearing + np.arctan2(rows["sin"], rows["cos"])
    first = np.ceil((bearing + spread.min(1)) / _STEP - 1e-6).astype(np.int64)
    last = np.floor((bearing + spread.max(1)) / _STEP + 1e-6).astype(np.int64) + 1
    inside = close == 0.0
    first, last = np.where(inside, 0, first), np.where(inside, AZIMUTHS, last)
    turn = first % AZIMUTHS - first
    # A millionth of a radian more: the rays are float32
    rings = np.searchsorted(BEAMS, bottom - 1e-6), np.searchsorted(BEAMS, top + 1e-6, side="right")
    return np.stack((*rings, first + turn, last + turn), -1), nearest
