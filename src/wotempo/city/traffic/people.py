"""Everyone of a drive in one table: who is where at each step, how fast, and what each looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wotempo.city.sensors.world import CLASS_NAMES
from wotempo.city.traffic.drive import Drive
from wotempo.city.traffic.props import Stroller, Thing
from wotempo.city.traffic.simulation import DT

VEHICLE, PEDESTRIAN = CLASS_NAMES.index("vehicle"), CLASS_NAMES.index("pedestrian")


@dataclass(frozen=True)
class People:
    """N road users and things over T steps, local metres; vehicles of the drive come first, in the fleet's order."""

    poses: np.ndarray  # (T, N, 3) x, y, heading of the box centres
    velocity: np.ndarray  # (T, N, 2) m/s
    sizes: np.ndarray  # (N, 3) length, width, height
    classes: np.ndarray  # (N,)
    colours: np.ndarray  # (N, 3) uint8

    def without_last(self) -> People:
        """All but the last one."""
        return People(self.poses[:, :-1], self.velocity[:, :-1], self.sizes[:-1], self.classes[:-1], self.colours[:-1])

    def boxes(self, step: int) -> np.ndarray:
        """(N, 7) x, y, z of the centre, length, width, height, yaw; z above the road."""
        pose = self.poses[step]
        return np.concatenate([pose[:, :2], self.sizes[:, 2:] / 2, self.sizes, pose[:, 2:]], 1)


def gather(drive: Drive, props: Sequence[Thing | Stroller], seed: int) -> People:
    """``seed`` draws the crossing pedestrians' looks."""
    steps, fleet, crossers = len(drive.poses), drive.fleet, drive.crossers
    rng = np.random.default_rng([seed, 103])
    time = np.arange(steps) * DT
    ahead = ((fleet.front - fleet.rear) / 2)[:, None]
    heading = drive.poses[..., 2:]
    forward = np.concatenate([np.cos(heading), np.sin(heading)], -1)
    cars = np.concatenate([drive.poses[..., :2] + ahead * forward, heading], -1)
    car_sizes = np.stack([fleet.front + fleet.rear, fleet.width, fleet.height], 1)
    walkers = crossers.poses(drive.network, drive.tracks.walked, DT)
    count = len(crossers.pace)
    walker_sizes = rng.uniform((0.5, 0.5, 1.55), (0.75, 0.75, 1.9), (count, 3))
    beside = np.reshape([prop.poses(time) for prop in props], (-1, steps, 3)).swapaxes(0, 1)
    poses = np.concatenate([cars, walkers, beside], 1)
    kinds = [VEHICLE] * len(fleet) + [PEDESTRIAN] * count + [CLASS_NAMES.index(prop.kind) for prop in props]
    walker_colours = rng.integers(20, 230, (count, 3))
    return People(
        poses=poses,
        velocity=np.gradient(poses[..., :2], DT, axis=0),
        sizes=np.concatenate([car_sizes, walker_sizes, np.reshape([prop.size for prop in props], (-1, 3))]),
        classes=np.array(kinds, np.int64),
        colours=np.array([*fleet.colour, *walker_colours, *(prop.colour for prop in props)], np.uint8),
    )
