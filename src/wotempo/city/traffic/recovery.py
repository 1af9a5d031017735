"""A drive that begins off the expert's path and takes it back: the ego displaced sideways, everyone else as they were.

No driver steers this way: the displacement is a smooth curve over the metres of the path, out to one side and back. So
what it shows may be looked at and scored, but it is no expert's answer to being off the path, and no planner should
imitate it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from wotempo.city.traffic.drive import WARM_UP_S, Drive
from wotempo.city.traffic.ego import is_faultless
from wotempo.city.traffic.people import People
from wotempo.city.traffic.simulation import DT
from wotempo.geometry import compose

OFF = (0.3, 0.8)  # metres off the path where the drift is widest
HEADING_MOST = np.deg2rad(5.0)  # against the path's
STEEPEST = 1.875  # of the quintic step: its largest slope, and so the drift's for one metre in one metre
LENGTH_LEAST = STEEPEST * OFF[1] / np.tan(HEADING_MOST)  # metres out, or back, of the widest drift
UNHURRIED_S = 2.5  # seconds that either takes, at least, at the first frame's speed
SLACK = (1.0, 1.6)  # times the least length
BEGUN = (0.5, 1.5)  # where the first frame is: 0 the drift begins, 1 widest, 2 back on the path
TRIALS = 12  # drifts drawn until one is drivable
ON_PATH = 0.02  # metres: nearer than this the vehicle is on its path again


@dataclass(frozen=True)
class Recovery:
    """The drive in which the ego drifts, and everyone in it. ``off`` (T,): at which steps it is off its path."""

    drive: Drive
    people: People
    off: np.ndarray


def draw_recovery(
    drive: Drive, people: People, ego: int, area: shapely.Geometry, rng: np.random.Generator
) -> Recovery | None:
    """The ego off its path when recording begins; None where no drift that was drawn is as faultless as the drive was:
    on the road with all corners, comfortable, touching nobody."""
    first = round(WARM_UP_S / DT)
    s, speed = drive.tracks.s[:, ego], drive.tracks.speed[first, ego]
    for _ in range(TRIALS):
        widest = rng.choice((-1.0, 1.0)) * rng.uniform(*OFF)
        length = max(LENGTH_LEAST, UNHURRIED_S * speed) * rng.uniform(*SLACK)
        offset, slope = _drift((s - s[first]) / length + rng.uniform(*BEGUN), widest, length)
        displaced = _displaced(drive, ego, offset, slope)
        everyone = _with_ego(people, drive, displaced, ego)
        turned = np.abs(displaced.poses[first:, ego, 2] - drive.poses[first:, ego, 2]).max()  # a bend turns it further
        if turned <= HEADING_MOST and is_faultless(displaced, everyone, area, ego, first):
            return Recovery(displaced, everyone, np.abs(offset) > ON_PATH)
    return None


def _drift(place: np.ndarray, widest: float, length: float) -> tuple[np.ndarray, np.ndarray]:
    """``place`` (T,) along the drift, from 0 (it begins) to 2 (it is over) -> metres to the left, and their slope."""
    near = np.clip(1.0 - np.abs(place - 1.0), 0.0, 1.0)
    rising = np.where(place < 1.0, 1.0, -1.0) / length
    return widest * near**3 * (10 - 15 * near + 6 * near**2), widest * 30 * (near * (1 - near)) ** 2 * rising


def _displaced(drive: Drive, ego: int, offset: np.ndarray, slope: np.ndarray) -> Drive:
    """The ego moves ``offset`` metres (T,) left of where it was, tangentially to its new way."""
    tracks, where = drive.tracks, drive.poses[:, ego]
    s, v = tracks.s[:, ego], tracks.speed[:, ego]
    bend = np.gradient(where[:, 2], DT) / np.maximum(v, 0.1)  # standing, nothing turns
    along = 1.0 - bend * offset  # metres of the new way, along the old one, per metre of the old one
    stretch = np.hypot(along, slope)
    heading = np.arctan2(slope, along)
    poses, speed, acceleration = drive.poses.copy(), tracks.speed.copy(), tracks.acceleration.copy()
    poses[:, ego] = compose(where, np.stack([np.zeros_like(s), offset, heading], 1))
    poses[:, ego, 2] = where[:, 2] + heading  # unwrapped, as it was
    moved = (offset != 0.0) | (slope != 0.0)
    speed[moved, ego] = (v * stretch)[moved]
    acceleration[moved, ego] = np.gradient(v * stretch, DT)[moved]
    return replace(drive, poses=poses, tracks=replace(tracks, speed=speed, acceleration=acceleration))


def _with_ego(people: People, drive: Drive, displaced: Drive, ego: int) -> People:
    """``people`` with the ego's box where the displaced drive has it."""
    ahead = np.array([(drive.fleet.front[ego] - drive.fleet.rear[ego]) / 2, 0.0, 0.0])
    poses = people.poses.copy()
    poses[:, ego] = compose(displaced.poses[:, ego], ahead)
    velocity = people.velocity.copy()
    velocity[:, ego] = np.gradient(poses[:, ego, :2], DT, axis=0)
    return replace(people, poses=poses, velocity=velocity)
