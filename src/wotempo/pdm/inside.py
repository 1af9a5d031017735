"""Which points lie inside which polygons: GEOS's answer, an order of magnitude faster for many points.

Ray crossing in floating point decides every point that is more than a nanometre away from all edges, where rounding
cannot change the answer; the few others are asked of GEOS, whose predicates are exact.
"""

from __future__ import annotations

import numpy as np
import shapely
from numba import njit

DOUBT = 1e-9  # metres; far above the rounding of coordinates relative to a local origin
MAX_BANDS = 64  # horizontal bands per polygon that its edges are sorted into


def contains_points(polygons: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """(P, Q) bool: polygon (P,), or multi-polygon, contains point (Q, 2); a point on the border is outside."""
    shapely.prepare(polygons)
    origin = xy.mean(0)
    parts, part_polygon = shapely.get_parts(polygons, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    vertices, vertex_ring = shapely.get_coordinates(rings, return_index=True)
    is_edge = vertex_ring[1:] == vertex_ring[:-1]
    edges = np.concatenate((vertices[:-1][is_edge], vertices[1:][is_edge]), 1) - np.tile(origin, 2)
    edge_polygon = part_polygon[ring_part[vertex_ring[:-1][is_edge]]]
    first_edge = np.searchsorted(edge_polygon, np.arange(len(polygons) + 1))
    inside, doubtful = _cross(edges, first_edge, xy - origin)
    for polygon, point in doubtful:
        inside[polygon, point] = shapely.contains_xy(polygons[polygon], *xy[point])
    return inside


@njit(cache=True)
def _cross(edges, first_edge, xy):
    """Parity of crossings (P, Q), and the (polygon, point) pairs that are too close to an edge to tell."""
    inside = np.zeros((len(first_edge) - 1, len(xy)), np.bool_)
    doubtful = [(0, 0) for _ in range(0)]
    for p in range(len(inside)):
        of_p = edges[first_edge[p] : first_edge[p + 1]]
        low_x, high_x = of_p[:, 0].min() - DOUBT, of_p[:, 0].max() + DOUBT
        low_y, high_y = of_p[:, 1].min() - DOUBT, of_p[:, 1].max() + DOUBT
        bands = min(max(len(of_p) // 2, 1), MAX_BANDS)
        per_metre = bands / (high_y - low_y)
        start, listed = _bands(of_p, low_y, per_metre, bands)
        for q in range(len(xy)):
            x, y = xy[q, 0], xy[q, 1]
            if x < low_x or x > high_x or y < low_y or y > high_y:
                continue
            band = _band(y, low_y, per_metre, bands)
            odd, close = False, False
            for e in range(start[band], start[band + 1]):
                ax, ay, bx, by = listed[e, 0], listed[e, 1], listed[e, 2], listed[e, 3]
                if y < min(ay, by) - DOUBT or y > max(ay, by) + DOUBT or x > max(ax, bx) + DOUBT:
                    continue
                run, rise = bx - ax, by - ay
                side = (x - ax) * rise - (y - ay) * run
                if x > min(ax, bx) - DOUBT and abs(side) <= DOUBT * (abs(run) + abs(rise)):
                    close = True
                # A ray towards +x crosses; a shared vertex counts for one of its two edges.
                odd ^= (ay > y) != (by > y) and (side < 0) == (rise > 0)
            if close:
                doubtful.append((p, q))
            inside[p, q] = odd
    return inside, doubtful


@njit(cache=True)
def _band(y, low_y, per_metre, bands):
    return min(max(int((y - low_y) * per_metre), 0), bands - 1)


@njit(cache=True)
def _bands(edges, low_y, per_metre, bands):
    """Edges that reach into each band: those of band b are listed[start[b] : start[b + 1]], listed (·, 4)."""
    start = np.zeros(bands + 1, np.int64)
    spans = np.empty((len(edges), 2), np.int64)
    for e in range(len(edges)):
        spans[e, 0] = _band(min(edges[e, 1], edges[e, 3]) - DOUBT, low_y, per_metre, bands)
        spans[e, 1] = _band(max(edges[e, 1], edges[e, 3]) + DOUBT, low_y, per_metre, bands)
        start[spans[e, 0] + 1 : spans[e, 1] + 2] += 1
    start = np.cumsum(start)
    cursor = start[:-1].copy()
    listed = np.empty((start[-1], 4))
    for e in range(len(edges)):
        for band in range(spans[e, 0], spans[e, 1] + 1):
            listed[cursor[band]] = edges[e]
            cursor[band] += 1
    return start, listed
