"""The lines that the proposals follow: the route's centreline and parallels to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.ops import substring

from wotempo.geometry.pose import wrap_angle
from wotempo.pdm.states import HALF_WIDTH

MIN_PROGRESS = 1e-5  # metres; poses are read no nearer to the start
ROUND_SEGMENTS = 16  # per quarter circle of a corridor's outer bends


@dataclass(frozen=True)
class FollowedPath:
    """A polyline to drive along, global frame."""

    poses: np.ndarray  # (M, 3) x, y, heading; heading unwrapped
    progress: np.ndarray  # (M,) metres from the start to each vertex
    line: shapely.LineString

    @classmethod
    def beside(cls, centreline: np.ndarray, offset: float) -> FollowedPath:
        """Parallel ``offset`` metres to the left of a centreline (M, 3).

        Every vertex moves along the normal of its own heading and keeps that heading, so in bends, and where lanes
        meet at an angle, the vertices are not equally far apart.
        """
        poses = centreline.copy()
        normal = centreline[:, 2] + np.pi / 2
        poses[:, :2] += offset * np.stack((np.cos(normal), np.sin(normal)), -1)
        poses[:, 2] = np.unwrap(poses[:, 2])
        progress = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=-1)))
        return cls(poses, progress, shapely.linestrings(poses[:, :2]))

    def at(self, progress: np.ndarray) -> np.ndarray:
        """Poses (..., 3) at ``progress`` (...) metres, linear between vertices; the ends where it lies beyond them."""
        wanted = np.clip(progress, MIN_PROGRESS, self.progress[-1])
        after = np.clip(np.searchsorted(self.progress, wanted), 1, len(self.progress) - 1)
        before = after - 1
        slope = (self.poses[after] - self.poses[before]) / (self.progress[after] - self.progress[before])[..., None]
        poses = self.poses[before] + slope * (wanted - self.progress[before])[..., None]
        poses[..., 2] = wrap_angle(poses[..., 2])
        return poses

    def corridor(self, start: float, end: float) -> shapely.Polygon:
        """The area an ego sweeps from ``start`` to ``end`` metres along the path, with square ends.

        NAVSIM joins the *vertices* in that interval, so the corridor begins up to one vertex ahead of ``start``, and
        it cuts the line exactly only when fewer than two vertices lie there.
        """
        start, end = np.clip((start, end), 0.0, self.progress[-1])
        vertices = self.poses[(start <= self.progress) & (self.progress <= end), :2]
        line = shapely.linestrings(vertices) if len(vertices) > 1 else substring(self.line, start, end)
        return shapely.buffer(line, HALF_WIDTH, quad_segs=ROUND_SEGMENTS, cap_style="square")
