"""A moment of a drive seen by one ego: what pairs are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wotempo.city.sensors.town import District
from wotempo.city.sensors.world import GroundClass, StaticWorld
from wotempo.city.traffic.drive import Drive
from wotempo.city.traffic.fleet import EGO_FRONT
from wotempo.city.traffic.people import People
from wotempo.city.traffic.simulation import Simulation
from wotempo.city.twins.motion import COUNT, NOW


@dataclass(frozen=True)
class Moment:
    """``step`` of a drive, about which ``COUNT`` steps are looked at. ``simulation`` stands at it."""

    district: District
    world: StaticWorld
    drive: Drive
    people: People
    simulation: Simulation
    ego: int
    step: int

    @cached_property
    def steps(self) -> np.ndarray:
        """(COUNT,) of the drive."""
        return self.step - NOW + np.arange(COUNT)

    @property
    def speed(self) -> float:
        """m/s of the ego now."""
        return float(self.drive.tracks.speed[self.step, self.ego])

    @property
    def s(self) -> np.ndarray:
        """(COUNT,) metres of the ego's rear axle along its path, were nobody changed."""
        return self.drive.tracks.s[self.steps, self.ego]

    @cached_property
    def path(self) -> np.ndarray:
        """(P, 3) the ego's path, a pose every STEP metres."""
        return self.drive.paths.poses[self.ego]

    @cached_property
    def pose(self) -> np.ndarray:
        """(3,) of the ego's rear axle now."""
        return self.drive.poses[self.step, self.ego]

    @cached_property
    def ego_boxes(self) -> np.ndarray:
        """(COUNT, 5) x, y, length, width, heading of the ego, were nobody changed."""
        return self.boxes_of(self.ego)

    def boxes_of(self, n: int) -> np.ndarray:
        """(COUNT, 5) of one of the people."""
        poses = self.people.poses[self.steps, n]
        size = np.broadcast_to(self.people.sizes[n, :2], (COUNT, 2))
        return np.concatenate([poses[:, :2], size, poses[:, 2:]], 1)

    def front_at(self, seconds: float) -> float:
        """Metres along the ego's path at which its front will be, were nobody changed."""
        return float(np.interp(seconds, 0.1 * np.arange(COUNT - NOW), self.s[NOW:])) + EGO_FRONT

    def path_at(self, s: float) -> np.ndarray:
        """(3,) pose of the ego's path."""
        place = np.arange(len(self.path)) * 0.5
        return np.array([np.interp(s, place, column) for column in self.path.T])

    def ground(self, points: np.ndarray) -> np.ndarray:
        """(M,) GroundClass at local points (M, 2)."""
        corner = np.array(self.world.ground_origin) - self.district.origin
        column, row = ((points - corner) / self.world.ground_cell).astype(int).T
        rows, columns = self.world.ground.shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        at = np.full(len(points), int(GroundClass.GRASS))
        at[inside] = self.world.ground[row[inside], column[inside]]
        return at
