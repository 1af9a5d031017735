"""Everyone of a drive in one table: who is where at each step, how fast, and what each looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wotempo.city.sensors.world import CLASS_NAMES
from wotempo.city.traffic.drive import Drive
from wotempo.city.traffic.props import Standing, Stroller
from wotempo.city.traffic.simulation import DT

VEHICLE, PEDESTRIAN, BICYCLE = (CLASS_NAMES.index(name) for name in ("vehicle", "pedestrian", "bicycle"))


@dataclass(frozen=True)
class People:
    """N road users and things over T steps, local metres; vehicles of the drive come first, in the fleet's order."""

    poses: np.ndarray  # (T, N, 3) x, y, heading of the box centres
    velocity: np.ndarray  # (T, N, 2) m/s
    sizes: np.ndarray  # (N, 3) length, width, height
    classes: np.ndarray  # (N,)
    colours: np.ndarray  # (N, 3) uint8

    def boxes(self, step: int) -> np.ndarray:
        """(N, 7) x, y, z of the centre, length, width, height, yaw; z above the road."""
        pose = self.poses[step]
        return np.concatenate([pose[:, :2], self.sizes[:, 2:] / 2, self.sizes, pose[:, 2:]], 1)


def gather(drive: Drive, standing: Standing, strollers: list[Stroller], seed: int) -> People:
    """``seed`` draws the crossing pedestrians' looks."""
    steps, fleet, crossers = len(drive.poses), drive.fleet, drive.crossers
    rng = np.random.default_rng([seed, 103])
    time = np.arange(steps) * DT
    ahead = ((fleet.front - fleet.rear) / 2)[:, None]
    heading = drive.poses[..., 2:]
    forward = np.concatenate([np.cos(heading), np.sin(heading)], -1)
    cars = np.concatenate([drive.poses[..., :2] + ahead * forward, heading], -1)
    car_sizes = np.stack([fleet.front + fleet.rear, fleet.width, fleet.height], 1)
    walkers = crossers.place(drive.network, crossers.shown(drive.network, drive.tracks.walked, DT))
    count = len(crossers.pace)
    walker_sizes = rng.uniform((0.5, 0.5, 1.55), (0.75, 0.75, 1.9), (count, 3))
    side = np.stack([stroller.poses(time) for stroller in strollers], 1) if strollers else np.empty((steps, 0, 3))
    still = np.broadcast_to(standing.boxes[:, [0, 1, 6]], (steps, len(standing.boxes), 3))
    poses = np.concatenate([cars, walkers, side, still], 1)
    return People(
        poses=poses,
        velocity=np.gradient(poses[..., :2], DT, axis=0),
        sizes=np.concatenate(
            [car_sizes, walker_sizes, np.array([s.size for s in strollers]).reshape(-1, 3), standing.boxes[:, 3:6]]
        ),
        classes=np.concatenate(
            [
                np.full(len(fleet), VEHICLE), np.full(count, PEDESTRIAN),
                np.array([CLASS_NAMES.index(s.kind) for s in strollers], np.int64), standing.classes,
            ]
        ),
        colours=np.concatenate(
            [
                fleet.colour, rng.integers(20, 230, (count, 3)).astype(np.uint8),
                np.array([s.colour for s in strollers], np.uint8).reshape(-1, 3), standing.colours,
            ]
        ),
    )  # fmt: skip
