"""Repair of a route: from the roadblock ids of a frame to a connected, loop-free list.

The order of every candidate list is the map's, and ties keep the first: official route lanes depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely

from wotempo.errors import UserError
from wotempo.geometry.pose import wrap_angle
from wotempo.maps import MapIndex, Roadblock

BLOCK_LAYERS = ("lane_groups_polygons", "lane_group_connectors")
START_RADIUS = 1.0  # metres around the rear axle
MAX_START_HEADING, MAX_START_DISTANCE = np.pi / 4, 3.0
MAX_BACKWARD, MAX_FORWARD = 15, 30  # roadblocks
MAX_LOOP_OVERLAP = 1.0  # m² that two connectors of a route may share


def repair_route(map_index: MapIndex, pose: np.ndarray, roadblock_ids: Sequence[str]) -> list[str]:
    """Ids of the route's roadblocks and connectors, each once, in driving order.

    pose: (3,) global rear axle. Raises UserError for an empty route and for ids that the map does not hold.
    """
    route = list(dict.fromkeys(roadblock_ids))
    if not route:
        raise UserError("a scene without roadblock_ids cannot be scored; use a scene filter with has_route: true")
    for roadblock_id in route:
        map_index.roadblock(roadblock_id)
    route = _join_at_start(map_index, pose, route)
    route = _fill_gaps(map_index, route)
    return list(dict.fromkeys(_cut_loop(map_index, route)))


def _join_at_start(map_index: MapIndex, pose: np.ndarray, route: list[str]) -> list[str]:
    """Lead the route to the block the ego stands on: search back from its first block, else forward to its first 3."""
    start, candidates = _blocks_at(map_index, pose, route)
    if start in route:
        return route
    path = search_blocks(map_index, route[0], candidates, MAX_BACKWARD, forward=False)
    if path is not None:
        return path[:-1] + route
    path = search_blocks(map_index, start, route[:3], MAX_FORWARD)
    if path is not None:
        return path + route[route.index(path[-1]) + 1 :]
    return route


def _blocks_at(map_index: MapIndex, pose: np.ndarray, route: list[str]) -> tuple[str, list[str]]:
    """The block the ego most likely stands on, and all that were considered."""
    blocks = []
    for layer in BLOCK_LAYERS:
        ids = map_index.layer(layer).ids
        blocks += [str(ids[i]) for i in map_index.near(layer, pose[0], pose[1], START_RADIUS)]
    if not blocks:
        blocks = [_nearest(map_index, layer, pose) for layer in BLOCK_LAYERS]
    aligned: list[tuple[float, str]] = []
    closest: list[tuple[float, str]] = []
    for block in blocks:
        best = np.inf
        for lane_id in map_index.roadblock(block).lane_ids:
            baseline = map_index.lane(lane_id).baseline
            distances = np.hypot(*(baseline[:, :2] - pose[:2]).T)
            nearest = np.argmin(distances)
            best = min(best, distances[nearest])
            turn = abs(wrap_angle(baseline[nearest, 2] - pose[2]))
            if turn < MAX_START_HEADING and distances[nearest] < MAX_START_DISTANCE:
                aligned.append((distances[nearest], block))
        closest.append((best, block))
    choice = [found for found in aligned if found[1] in route] or aligned or closest
    return min(choice, key=lambda item: item[0])[1], [block for _, block in choice]


def _nearest(map_index: MapIndex, layer: str, pose: np.ndarray) -> str:
    shapes = map_index.layer(layer)
    return str(shapes.ids[np.argmin(shapely.distance(shapes.geometry, shapely.Point(pose[0], pose[1])))])


def _fill_gaps(map_index: MapIndex, route: list[str]) -> list[str]:
    """Insert the missing blocks between neighbours that the map does not link."""
    filled = route[:1]
    for before, after in pairwise(route):
        if before not in map_index.roadblock(after).incoming:
            path = search_blocks(map_index, before, [after], MAX_FORWARD)
            if path is not None:
                filled += path[1:-1]
        filled.append(after)
    return filled


def _cut_loop(map_index: MapIndex, route: list[str]) -> list[str]:
    """End the route before the first connector that crosses an earlier one."""
    passed: list[shapely.Polygon] = []
    for index, block_id in enumerate(route):
        block = map_index.roadblock(block_id)
        if not block.is_connector:
            continue
        if passed and (shapely.area(shapely.intersection(passed, block.polygon)) > MAX_LOOP_OVERLAP).any():
            return route[:index]
        passed.append(block.polygon)
    return route


def search_blocks(
    map_index: MapIndex, start: str, targets: Sequence[str], max_depth: int, forward: bool = True
) -> list[str] | None:
    """Breadth-first path between roadblocks, in driving order; None when no target lies within ``max_depth`` blocks.

    ``start`` counts as depth 1. Backward, the path ends with ``start``. NAVSIM's search keeps no visited set: a block
    may be queued many times, its *last* predecessor on a level is remembered, and the *first* target in queue order
    wins. Two orders per level, by first and by last appearance, give the same path without the repetitions.
    """
    by_first, by_last = [start], [start]
    predecessors: list[dict[str, str]] = []
    for _ in range(max_depth):
        for block in by_first:
            if block in targets:
                path = [block]
                for level in reversed(predecessors):
                    path.append(level[path[-1]])
                return path[::-1] if forward else path
        predecessors.append({after: block for block in by_last for after in _neighbours(map_index, block, forward)})
        by_first = list(dict.fromkeys(n for block in by_first for n in _neighbours(map_index, block, forward)))
        last_queued = [n for block in by_last for n in _neighbours(map_index, block, forward)]
        by_last = list(dict.fromkeys(reversed(last_queued)))[::-1]
        if not by_first:
            return None
    return None


def _neighbours(map_index: MapIndex, block_id: str, forward: bool) -> Sequence[str]:
    block: Roadblock = map_index.roadblock(block_id)
    return block.outgoing if forward else block.incoming
