"""Smooth silhouettes: four more rays for the pixels on edges, and nothing for the others (numba)."""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.raycast import SOURCES, entry, jit, kernel

# The pixel itself, its sides, its corners: where the extra rays look for what they hit and for its colour.
_ROWS = np.array([0, -1, 1, 0, 0, -1, -1, 1, 1])
_COLUMNS = np.array([0, 0, 0, -1, 1, -1, 1, -1, 1])
# Rotated square: four rows and four columns of a pixel, so nearly level and nearly upright edges get five shades.
_RIGHT = np.array([-0.375, 0.125, 0.375, -0.125])
_DOWN = np.array([-0.125, -0.375, 0.125, 0.375])


@jit
def _key(hit, face, depth):
    if hit >= 0:
        return np.int64(hit) * 8 + face
    return -1 if depth < np.inf else -2


@jit
def _first(origin, ray, ground_z, prims, candidates, count):
    """Key of the nearest of a few candidate primitives and the ground."""
    ray_x, ray_y, ray_z = ray[0], ray[1], ray[2]
    best = (ground_z - origin[2]) / ray_z if ray_z < 0.0 else np.inf
    nearest, nearest_side = np.int64(-1), np.int64(0)
    for k in range(count):
        p = prims[candidates[k]]
        x, y = origin[0] - p.x, origin[1] - p.y
        t, side = entry(
            p.shape, p.half_l, p.half_w, p.z1 - p.z0, p.taper_l, p.taper_w,
            p.cos * x + p.sin * y, p.cos * y - p.sin * x, origin[2] - p.z0,
            p.cos * ray_x + p.sin * ray_y, p.cos * ray_y - p.sin * ray_x, ray_z,
        )  # fmt: skip
        if 0.0 < t < best:
            best, nearest, nearest_side = t, candidates[k], side
    return _key(nearest, nearest_side, best)


@kernel
def antialias(origin, rays, ground_z, prims, depth, hit, face, colours, image, sources=SOURCES):
    """Writes ``image`` (H, W, 3) uint8 from ``colours`` (H, W, 3) in [0, 1].

    A pixel whose neighbours show something else sends four rays at what the 3×3 pixels around it hit. Each takes the
    colour of the nearest of those pixels that shows the same face: no shading is repeated.
    """
    rows, columns = hit.shape
    keys = np.empty((rows, columns), dtype=np.int64)  # what a pixel shows: a face of a primitive, the ground, the sky
    for r in range(rows):
        for c in range(columns):
            keys[r, c] = _key(hit[r, c], face[r, c], depth[r, c])
    candidates, ray = np.empty(9, dtype=np.int64), np.empty(3)
    for r in range(rows):
        for c in range(columns):
            edge = False
            if 0 < r < rows - 1 and 0 < c < columns - 1:
                for n in range(1, 9):
                    edge = edge or keys[r + _ROWS[n], c + _COLUMNS[n]] != keys[r, c]
            if not edge:
                for k in range(3):
                    image[r, c, k] = np.uint8(255.0 * min(max(colours[r, c, k], 0.0), 1.0) + 0.5)
                continue
            count = np.int64(0)  # not a literal: that would compile a second copy of _first
            for n in range(9):
                neighbour = hit[r + _ROWS[n], c + _COLUMNS[n]]
                known = neighbour < 0
                for k in range(count):
                    known = known or candidates[k] == neighbour
                if not known:
                    candidates[count] = neighbour
                    count += 1
            red, green, blue = 0.0, 0.0, 0.0
            for s in range(4):
                for k in range(3):  # pinhole rays change linearly from pixel to pixel
                    across, along = rays[r, c + 1, k] - rays[r, c, k], rays[r + 1, c, k] - rays[r, c, k]
                    ray[k] = rays[r, c, k] + _RIGHT[s] * across + _DOWN[s] * along
                key = _first(origin, ray, ground_z, prims, candidates, count)
                source = 0
                for n in range(8, 0, -1):  # the last match is the nearest pixel
                    if keys[r + _ROWS[n], c + _COLUMNS[n]] == key:
                        source = n
                if keys[r, c] == key:
                    source = 0
                i, j = r + _ROWS[source], c + _COLUMNS[source]
                red, green, blue = red + colours[i, j, 0], green + colours[i, j, 1], blue + colours[i, j, 2]
            image[r, c, 0] = np.uint8(63.75 * min(max(red, 0.0), 4.0) + 0.5)
            image[r, c, 1] = np.uint8(63.75 * min(max(green, 0.0), 4.0) + 0.5)
            image[r, c, 2] = np.uint8(63.75 * min(max(blue, 0.0), 4.0) + 0.5)
