"""The polygons that contain each point: the answer of GEOS, two orders of magnitude faster for many points.

The plane is cut into cells. What a cell's relation to each polygon is, is found when the first point falls into it:
no point of it inside, all of them, or an edge passes. Only in the last case a point is tried by ray crossing, against
the edges of its band of the polygon. A point within a nanometre of an edge, where rounding could change the
answer, is left to GEOS, whose predicates are exact.
"""

from __future__ import annotations

import numpy as np
import shapely
from numba import njit

DOUBT = 1e-9  # metres; far above the rounding of coordinates relative to a local origin
CELL = 2.0  # metres
MAX_CELLS = 512  # along an axis; beyond it cells grow
BAND = 2.0  # metres along a polygon's longer side
MAX_BANDS = 64
OUTSIDE, INSIDE, BORDER = 0, 1, 2


def containing(polygons: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the polygons (P,), multi-polygons too, that contain each finite point (Q, 2); a border is outside.

    Returns ``first`` (Q + 1,) and ``members``: those of point q are ``members[first[q] : first[q + 1]]``, ascending.
    """
    if not len(polygons) or not len(xy):
        return np.zeros(len(xy) + 1, np.int64), np.zeros(0, np.int64)
    low, high = _extent(xy)
    size = max(CELL, float((high - low).max()) / MAX_CELLS)
    first, members = _containing(xy - low, 1 / size, *_by_band(polygons, low))
    doubtful = np.flatnonzero(members < 0)
    if len(doubtful):
        point = np.searchsorted(first, doubtful, "right") - 1
        polygon = ~members[doubtful]
        shapely.prepare(polygons[np.unique(polygon)])
        is_in = shapely.contains_xy(polygons[polygon], xy[point, 0], xy[point, 1])
        members[doubtful] = polygon
        members = np.delete(members, doubtful[~is_in])
        first[1:] -= np.cumsum(np.bincount(point[~is_in], minlength=len(xy)))
    return first, members


@njit(cache=True)
def _extent(xy):
    low, high = xy[0].copy(), xy[0].copy()
    for q in range(len(xy)):
        for axis in range(2):
            low[axis], high[axis] = min(low[axis], xy[q, axis]), max(high[axis], xy[q, axis])
    return low, high


def _by_band(polygons: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, ...]:
    """Bounds (P, 4), whether the longer side is y (P,), its low end and bands per metre (P, 2), the first band of each
    polygon (P + 1,), the first edge of each band, the edges.

    An edge (u0, w0, u1, w1), relative to ``origin`` and with u along the longer side, stands in every band it touches.
    """
    parts, part_polygon = shapely.get_parts(polygons, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    vertices, vertex_ring = shapely.get_coordinates(rings, return_index=True)
    is_edge = vertex_ring[1:] == vertex_ring[:-1]
    vertices = vertices - origin
    edges = np.concatenate((vertices[:-1][is_edge], vertices[1:][is_edge]), 1)
    of_polygon = part_polygon[ring_part[vertex_ring[:-1][is_edge]]]
    bounds = shapely.bounds(polygons) - np.tile(origin, 2)
    bounds[np.isnan(bounds).any(1)] = np.inf, np.inf, -np.inf, -np.inf  # empty: nothing is inside
    upright = bounds[:, 3] - bounds[:, 1] > bounds[:, 2] - bounds[:, 0]
    edges[upright[of_polygon]] = edges[upright[of_polygon]][:, [1, 0, 3, 2]]
    first_edge = np.searchsorted(of_polygon, np.arange(len(polygons) + 1))
    low = np.where(upright, bounds[:, 1], bounds[:, 0])
    length = np.where(upright, bounds[:, 3], bounds[:, 2]) - low
    count = np.clip(length / BAND + 1, 1, MAX_BANDS).astype(np.int64)
    per_metre = np.divide(count, length, out=np.zeros(len(low)), where=length > 0)
    first_band = np.concatenate(([0], np.cumsum(count)))
    scale = np.stack((low, per_metre), 1)
    return (bounds, upright, scale, first_band, *_sort(scale, first_band, edges, first_edge))


@njit(cache=True, inline="always")
def _band(u, p, scale, first_band):
    return min(max(int((u - scale[p, 0]) * scale[p, 1]), 0), first_band[p + 1] - first_band[p] - 1) + first_band[p]


@njit(cache=True)
def _sort(scale, first_band, edges, first_edge):
    """First edge of each band, and the edges band by band."""
    span = np.empty((len(edges), 2), np.int64)
    start = np.zeros(first_band[-1] + 1, np.int64)
    for p in range(len(scale)):
        for e in range(first_edge[p], first_edge[p + 1]):
            span[e, 0] = _band(min(edges[e, 0], edges[e, 2]) - DOUBT, p, scale, first_band)
            span[e, 1] = _band(max(edges[e, 0], edges[e, 2]) + DOUBT, p, scale, first_band)
            start[span[e, 0] + 1 : span[e, 1] + 2] += 1
    start = np.cumsum(start)
    cursor = start[:-1].copy()
    listed = np.empty((start[-1], 4))
    for e in range(len(edges)):
        for band in range(span[e, 0], span[e, 1] + 1):
            listed[cursor[band]] = edges[e]
            cursor[band] += 1
    return start, listed


@njit(cache=True)
def _containing(xy, per_metre, bounds, upright, scale, first_band, start, edges):
    size = 1 / per_metre
    columns, rows = int(xy[:, 0].max() * per_metre) + 1, int(xy[:, 1].max() * per_metre) + 1
    cell_first, cell_last = np.full(columns * rows, -1, np.int64), np.empty(columns * rows, np.int64)
    near = np.empty((1024, 2), np.int64)  # polygon and relation, cell after cell
    first, members = np.empty(len(xy) + 1, np.int64), np.empty(4 * len(xy) + len(bounds), np.int64)
    used = found = 0
    for q in range(len(xy)):
        first[q] = found
        x, y = xy[q, 0], xy[q, 1]
        column, row = int(x * per_metre), int(y * per_metre)
        cell = column * rows + row
        if cell_first[cell] < 0:
            cell_first[cell] = used
            for p in range(len(bounds)):
                corner_x, corner_y = column * size, row * size
                relation = _relation(p, corner_x, corner_y, size, bounds, upright, scale, first_band, start, edges)
                if relation != OUTSIDE:
                    if used == len(near):
                        near = np.concatenate((near, np.empty_like(near)))
                    near[used] = p, relation
                    used += 1
            cell_last[cell] = used
        if found + cell_last[cell] - cell_first[cell] > len(members):
            members = np.concatenate((members, np.empty_like(members)))
        for k in range(cell_first[cell], cell_last[cell]):
            p, relation = near[k]
            if relation == BORDER:
                relation = _locate(p, x, y, upright, scale, first_band, start, edges)
            if relation != OUTSIDE:
                members[found] = p if relation == INSIDE else ~p
                found += 1
    first[-1] = found
    return first, members[:found]


@njit(cache=True, inline="always")
def _relation(p, x, y, size, bounds, upright, scale, first_band, start, edges):
    """OUTSIDE or INSIDE if that holds for all of the square with its corner (x, y), else BORDER."""
    if (
        x > bounds[p, 2] + DOUBT
        or y > bounds[p, 3] + DOUBT
        or x + size < bounds[p, 0] - DOUBT
        or y + size < bounds[p, 1] - DOUBT
    ):
        return OUTSIDE
    u0, w0 = (y, x) if upright[p] else (x, y)
    u0, w0, u1, w1 = u0 - DOUBT, w0 - DOUBT, u0 + size + DOUBT, w0 + size + DOUBT
    first, last = _band(u0, p, scale, first_band), _band(u1, p, scale, first_band)
    for e in range(start[first], start[last + 1]):
        au, aw, bu, bw = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if max(au, bu) < u0 or min(au, bu) > u1 or max(aw, bw) < w0 or min(aw, bw) > w1:
            continue
        run, rise = bu - au, bw - aw
        lowest, highest = np.inf, -np.inf
        for u in (u0, u1):
            for w in (w0, w1):
                side = (u - au) * rise - (w - aw) * run
                lowest, highest = min(lowest, side), max(highest, side)
        doubt = DOUBT * (abs(run) + abs(rise))
        if lowest <= doubt and highest >= -doubt:
            return BORDER
    return _locate(p, x + 0.5 * size, y + 0.5 * size, upright, scale, first_band, start, edges)


@njit(cache=True, inline="always")
def _locate(p, x, y, upright, scale, first_band, start, edges):
    """OUTSIDE or INSIDE by the parity of crossings of a ray across the longer side; BORDER where it is doubtful."""
    u, w = (y, x) if upright[p] else (x, y)
    band = _band(u, p, scale, first_band)
    odd = close = False
    for e in range(start[band], start[band + 1]):  # without branches: they would be mispredicted more often than not
        au, aw, bu, bw = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        run, rise = bw - aw, bu - au
        side = (w - aw) * rise - (u - au) * run
        close |= (
            (abs(side) <= DOUBT * (abs(run) + abs(rise)))
            & (abs(u - 0.5 * (au + bu)) <= 0.5 * abs(rise) + DOUBT)
            & (abs(w - 0.5 * (aw + bw)) <= 0.5 * abs(run) + DOUBT)
        )
        # A shared vertex counts for one of its two edges.
        odd ^= ((au > u) != (bu > u)) & ((side < 0) == (rise > 0))
    return BORDER if close else INSIDE if odd else OUTSIDE
