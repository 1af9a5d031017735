"""The one ray caster, for cameras and LiDAR alike (numba; compiled on first use, cached beside this file).

A sensor is an origin and a grid of rays (H, W). Each primitive brings the window of the grid that it can cover, and the
primitives come sorted by nearness, so a ray meets few candidates and most of those lose before they are intersected.
Rays need not have unit length: distances are multiples of the ray. No fastmath: infinities mean "no hit" here.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numba import njit

from wotempo.city.sensors.primitives import BOX, ELLIPSOID

# numpy's error model: division by zero gives inf, without a test before each division. Helpers are only ever called by
# kernels: leaving out their Python entry points saves seconds of compilation.
jit = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
kernel = njit(cache=True, error_model="numpy", no_cfunc_wrapper=True)


def _fingerprint() -> int:
    """Of all the source that the kernels are compiled from.

    numba recompiles a cached kernel when its own file changes but not when a function or constant from another file
    does. A default argument is part of the signature that the cache looks up, so every kernel carries this one.
    """
    names = ("primitives", "raycast", "materials", "shade", "antialias")
    return zlib.crc32(b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in names))


SOURCES = _fingerprint()

# Faces of a box: front, back, left, right, top, bottom; frusta have CURVED and TOP, ellipsoids CURVED.
FRONT, BACK, LEFT, RIGHT, TOP, BOTTOM, CURVED = range(7)


@jit
def box_interval(ox, oy, oz, dx, dy, dz, half_l, half_w, height, taper_l, taper_w):
    """Where the ray o + t·d is inside a tapered box that stands on z = 0: (entry t, exit t, entry face).

    Exit < entry means that it misses. Each side is a half space with slack ≥ 0 inside, and slack falls at ``rate``.
    """
    entry, leave, face = -np.inf, np.inf, -1
    base_l, base_w = half_l - taper_l * oz, half_w - taper_w * oz
    sides = (
        (base_l - ox, dx + taper_l * dz),
        (base_l + ox, taper_l * dz - dx),
        (base_w - oy, dy + taper_w * dz),
        (base_w + oy, taper_w * dz - dy),
        (height - oz, dz),
        (oz, -dz),
    )
    for side in range(6):
        slack, rate = sides[side]
        if rate < 0.0:
            t = slack / rate
            if t > entry:
                entry, face = t, side
        elif rate > 0.0:
            leave = min(leave, slack / rate)
        elif slack < 0.0:
            return np.inf, -np.inf, -1
    return entry, leave, face


@jit
def _ellipsoid_entry(ox, oy, oz, dx, dy, dz, half_l, half_w, half_h):
    """Nearest t on an ellipsoid around the origin, inf for a miss."""
    ox, oy, oz = ox / half_l, oy / half_w, oz / half_h
    dx, dy, dz = dx / half_l, dy / half_w, dz / half_h
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    root = b * b - a * (ox * ox + oy * oy + oz * oz - 1.0)
    return (-b - np.sqrt(root)) / a if root > 0.0 else np.inf


@jit
def _frustum_entry(ox, oy, oz, dx, dy, dz, radius, height, taper):
    """Nearest (t, face) on an upright cone, cylinder or frustum that stands on z = 0; inf for a miss."""
    here = radius - taper * oz
    a = dx * dx + dy * dy - taper * taper * dz * dz
    b = ox * dx + oy * dy + here * taper * dz
    root = b * b - a * (ox * ox + oy * oy - here * here)
    if root > 0.0:
        t = (-b - np.sqrt(root)) / a
        z = oz + t * dz
        if t > 0.0 and 0.0 <= z <= height:
            return t, CURVED
    if dz < 0.0:
        t = (height - oz) / dz
        x, y, top = ox + t * dx, oy + t * dy, radius - taper * height
        if x * x + y * y <= top * top:
            return t, TOP
    return np.inf, -1


@jit
def entry(shape, half_l, half_w, height, taper_l, taper_w, ox, oy, oz, dx, dy, dz):
    """Nearest (t, face) of a ray with a primitive, in the primitive's own axes; t is inf (or negative) for a miss."""
    if shape == BOX:
        t, leave, side = box_interval(ox, oy, oz, dx, dy, dz, half_l, half_w, height, taper_l, taper_w)
        return (t, side) if t <= leave else (np.inf, -1)
    if shape == ELLIPSOID:
        return _ellipsoid_entry(ox, oy, oz - height / 2, dx, dy, dz, half_l, half_w, height / 2), CURVED
    return _frustum_entry(ox, oy, oz, dx, dy, dz, half_l, height, taper_l)


@kernel
def cast(origin, rays, prims, windows, nearest, depth, hit, face, sources=SOURCES):
    """Intersects every ray with the primitives, keeping the nearest hit.

    origin (3,) float64; rays (H, W, 3) float32; prims (M,) PRIMITIVE in the same frame, sorted by ``nearest``
    (M,), a lower bound of their t; windows (M, 4) int64: rows [r0, r1) and columns [c0, c1) that the primitive can
    cover, where c1 may pass W and then wraps around. In and out: depth (H, W) float32, the t to beat (ground or inf);
    hit (H, W) int32 and face (H, W) uint8 are written where a primitive is nearer.
    """
    width = rays.shape[1]
    for i in range(len(prims)):
        p = prims[i]
        cos, sin, shape, bound = p.cos, p.sin, p.shape, nearest[i]
        half_l, half_w, height = p.half_l, p.half_w, p.z1 - p.z0
        taper_l, taper_w = p.taper_l, p.taper_w
        ox = cos * (origin[0] - p.x) + sin * (origin[1] - p.y)
        oy = cos * (origin[1] - p.y) - sin * (origin[0] - p.x)
        oz = origin[2] - p.z0
        for r in range(windows[i, 0], windows[i, 1]):
            for column in range(windows[i, 2], windows[i, 3]):
                c = column if column < width else column - width
                best = depth[r, c]
                if best <= bound:
                    continue
                dx = cos * rays[r, c, 0] + sin * rays[r, c, 1]
                dy = cos * rays[r, c, 1] - sin * rays[r, c, 0]
                dz = np.float64(rays[r, c, 2])
                t, side = entry(shape, half_l, half_w, height, taper_l, taper_w, ox, oy, oz, dx, dy, dz)
                if 0.0 < t < best:
                    depth[r, c] = t
                    hit[r, c] = i
                    face[r, c] = side


def ground_depth(up: np.ndarray, height: float) -> np.ndarray:
    """t (...) float32 at which rays meet the ground plane at ``height`` relative to their origin, from their vertical
    components; inf for rays that do not descend."""
    return np.where(up < 0, height / np.where(up < 0, up, -1.0), np.inf).astype(np.float32)


def first_hits(
    origin: np.ndarray, rays: np.ndarray, primitives: np.ndarray, windows: np.ndarray, nearest: np.ndarray,
    seen: np.ndarray, depth: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """What every ray meets first among the primitives that are ``seen`` (M,) bool; the other arguments as of ``cast``,
    in any order. Writes ``depth``; returns hit (H, W) int32 (row of the returned primitives, -1: none of them), face
    (H, W) uint8, and the primitives in the order that ``hit`` counts."""
    order = np.flatnonzero(seen)
    order = order[np.argsort(nearest[order], kind="stable")]
    hit, face = np.full(depth.shape, -1, dtype=np.int32), np.zeros(depth.shape, dtype=np.uint8)
    primitives = primitives[order]
    cast(origin, rays, primitives, windows[order], nearest[order], depth, hit, face)
    return hit, face, primitives


@jit
def surface_normal(p, side, x, y, z):
    """Unit normal (in the primitive's own axes) at the local point (x, y, z above its foot) of ``side``."""
    if side <= RIGHT:
        sign = 1.0 - 2.0 * (side % 2)
        taper = p.taper_l if side <= BACK else p.taper_w
        scale = 1.0 / np.sqrt(1.0 + taper * taper)
        if side <= BACK:
            return sign * scale, 0.0, taper * scale
        return 0.0, sign * scale, taper * scale
    if side == TOP:
        return 0.0, 0.0, 1.0
    if side == BOTTOM:
        return 0.0, 0.0, -1.0
    if p.shape == ELLIPSOID:
        half_h = (p.z1 - p.z0) / 2
        nx, ny, nz = x / p.half_l**2, y / p.half_w**2, (z - half_h) / half_h**2
    else:
        nx, ny, nz = x, y, p.taper_l * np.sqrt(x * x + y * y)
    scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale
