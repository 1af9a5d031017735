"""The line that progress is measured along: lanes of the route, joined from the ego's lane on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from wotempo.geometry.pose import wrap_angle
from wotempo.maps import Lane, MapIndex
from wotempo.pdm.states import CENTRE, box_points, centre_of

SEARCH_BLOCKS = 30  # blocks of the route, from the start lane's on


def route_lanes(map_index: MapIndex, route: Sequence[str]) -> list[str]:
    """Ids of all lanes and connectors of the route's roadblocks."""
    return list(dict.fromkeys(lane for block in route for lane in map_index.roadblock(block).lane_ids))


def trace_centreline(map_index: MapIndex, route: Sequence[str], start: Lane) -> np.ndarray:
    """Polyline (M, 3) of x, y, heading from a lane on through the lanes of a repaired route."""
    first = route.index(start.roadblock_id) if start.roadblock_id in route else 0
    goal = route[first : first + SEARCH_BLOCKS][-1]
    path = shortest_lanes(map_index, start.id, set(route_lanes(map_index, route)), goal)
    return np.concatenate([map_index.lane(lane).baseline for lane in path])


def start_lane(map_index: MapIndex, lanes: Sequence[str], pose: np.ndarray, containing: Sequence[str]) -> Lane:
    """The on-route lane under the rear axle that points most alike; else one under or near the box.

    lanes: ids of the route's lanes. pose: (3,) global rear axle. containing: ids of the lanes whose polygon meets the
    rear axle, in the order in which ties are to be broken.
    """
    on_route = set(lanes)
    under = [map_index.lane(lane_id) for lane_id in containing if lane_id in on_route]
    if under:
        return min(under, key=lambda lane: _turn(lane, pose))

    candidates = [map_index.lane(lane_id) for lane_id in lanes]
    for lane in candidates:
        if shapely.contains_xy(lane.polygon, *centre_of(pose)):
            return lane
    box = shapely.Polygon(box_points(pose)[:CENTRE])
    return min(candidates, key=lambda lane: shapely.distance(lane.polygon, box))


def _turn(lane: Lane, pose: np.ndarray) -> float:
    """Unsigned angle between the ego and a lane's baseline where it is nearest, radians."""
    nearest = np.argmin(np.hypot(*(lane.baseline[:, :2] - pose[:2]).T))
    return abs(wrap_angle(lane.baseline[nearest, 2] - pose[2]))


def shortest_lanes(map_index: MapIndex, start: str, allowed: set[str], goal_block: str) -> list[str]:
    """Dijkstra on lane length from a lane to any lane of a roadblock; ties keep the lane that was found first.

    When no lane of the goal can be reached: the path to the deepest lane that can, the shortest among equals.
    """
    cost, depth = {start: 1.0}, {start: 1}
    previous: dict[str, str | None] = {start: None}
    frontier = [start]  # in order of discovery, so that min() breaks ties by it
    expanded: list[str] = []
    while frontier:
        lane_id = min(frontier, key=cost.__getitem__)
        frontier.remove(lane_id)
        if map_index.lane(lane_id).roadblock_id == goal_block:
            return _path_to(lane_id, previous)
        expanded.append(lane_id)
        for after in map_index.lane(lane_id).outgoing:
            # A lane costs its own length whatever leads to it, so its first predecessor is its cheapest.
            if after in allowed and after not in cost:
                frontier.append(after)
                cost[after] = cost[lane_id] + map_index.lane(after).length
                depth[after], previous[after] = depth[lane_id] + 1, lane_id
    return _path_to(min(expanded, key=lambda lane_id: (-depth[lane_id], cost[lane_id])), previous)


def _path_to(lane_id: str, previous: dict[str, str | None]) -> list[str]:
    path = [lane_id]
    while (before := previous[path[-1]]) is not None:
        path.append(before)
    return path[::-1]
