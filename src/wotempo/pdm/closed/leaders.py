"""Leading agents: obstacles in the corridors of the paths, and for each driver the one its box is nearest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from wotempo.pdm.closed.forecast import NUM_MAPS, Forecast
from wotempo.pdm.closed.paths import FollowedPath
from wotempo.pdm.states import CENTRE, box_points

TREE_NODE_CAPACITY = 10


@dataclass(frozen=True)
class InReach:
    """C pairs of a path and an obstacle that reaches into the path's corridor at one time."""

    path: np.ndarray  # (C,) int
    polygon: np.ndarray  # (C,) shapely
    progress: np.ndarray  # (C,) metres along the path, of the obstacle's centroid
    speed: np.ndarray  # (C,) m/s
    heading: np.ndarray  # (C,)
    is_light: np.ndarray  # (C,) bool


def obstacles_in_reach(paths: Sequence[FollowedPath], corridors: np.ndarray, forecast: Forecast) -> list[InReach]:
    """For every map of the forecast, what lies in the corridors (len(paths),) and is not ignored.

    NAVSIM breaks ties between equally near obstacles, such as two that overlap the ego, by the order in which this
    tree returns them.
    """
    lines = np.array([path.line for path in paths])
    found = []
    for number in range(NUM_MAPS):
        polygons = forecast.polygons[number]
        path, row = shapely.STRtree(polygons, TREE_NODE_CAPACITY).query(corridors, predicate="intersects")
        counts = ~forecast.ignored[row]
        path, row = path[counts], row[counts]
        progress = shapely.line_locate_point(lines[path], shapely.centroid(polygons[row]))
        is_light = row >= len(forecast.is_agent)
        found.append(InReach(path, polygons[row], progress, forecast.speed[row], forecast.heading[row], is_light))
    return found


def nearest_ahead(
    found: InReach, path: np.ndarray, progress: np.ndarray, poses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gap (D,) metres from each driver's box to the nearest obstacle ahead, and that obstacle's speed (D,) along the
    driver's heading, m/s. The gap is inf where nothing is ahead; the speed is NaN there and for lights.

    path, progress: (D,) of the drivers; poses (D, 3). Ahead is what has its centroid further along the path. A speed
    is projected by where the obstacle's box points, even when it drives backwards.
    """
    ahead = (found.path == path[:, None]) & (found.progress > progress[:, None])
    gap = np.full((len(path), 1 + len(found.path)), np.inf)  # column 0: the free road
    driver, obstacle = np.nonzero(ahead)
    boxes = shapely.polygons(box_points(poses)[:, :CENTRE])
    gap[driver, 1 + obstacle] = shapely.distance(boxes[driver], found.polygon[obstacle])
    nearest = gap.argmin(1)
    speed = np.append(np.nan, np.where(found.is_light, np.nan, found.speed))[nearest]
    return gap.min(1), speed * np.cos(np.append(0.0, found.heading)[nearest] - poses[:, 2])
