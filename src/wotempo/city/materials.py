"""Patterns on the surfaces of buildings and road users (numba functions that the shading kernel inlines).

Every pattern is a hash of the place it lies on, so a wall looks the same in every frame and from every camera; what is
finer than a pixel fades out, so that nothing flickers.
"""

from __future__ import annotations

import numpy as np

from wotempo.city.primitives import (
    BLUE,
    BODY,
    BOX,
    CABIN,
    COACH,
    FACADE,
    FOLIAGE,
    GREEN,
    HALF_L,
    HALF_W,
    LAMP,
    MATERIAL,
    RED,
    SEED,
    SHAPE,
    STRIPES,
    TAPER_L,
    TAPER_W,
    Z0,
    Z1,
)
from wotempo.city.raycast import BACK, FRONT, LEFT, RIGHT, TOP, jit


@jit
def cell_hash(i, j, seed):
    """[0, 1) from two lattice coordinates and a seed."""
    n = (np.int64(i) * 374761393 + np.int64(j) * 668265263 + np.int64(seed) * 974634777) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65536.0


@jit
def noise(x, y, seed):
    """Smooth noise in [0, 1) with features of size one."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    low = cell_hash(i, j, seed) * (1.0 - u) + cell_hash(i + 1, j, seed) * u
    high = cell_hash(i, j + 1, seed) * (1.0 - u) + cell_hash(i + 1, j + 1, seed) * u
    return low * (1.0 - v) + high * v


@jit
def clamp(value):
    return min(max(value, 0.0), 1.0)


@jit
def cover(inside, pixel):
    """Antialiased membership from the signed distance ``inside`` of an edge and the size of a pixel there (metres)."""
    return clamp(inside / pixel + 0.5)


@jit
def _facade(p, side, lx, ly, z, pixel, sky):
    """A wall of windows: (r, g, b) before lighting. ``pixel`` is the size of a pixel on the wall."""
    seed = np.int64(p[SEED])
    if side >= TOP:
        return 0.55 * p[RED] + 0.2, 0.55 * p[GREEN] + 0.2, 0.55 * p[BLUE] + 0.2
    along, half = (ly, p[HALF_W]) if side <= BACK else (lx, p[HALF_L])
    height = p[Z1] - p[Z0]
    pitch = 2.4 + 1.6 * cell_hash(seed, 1, 7)
    pitch = 2.0 * half / max(1.0, np.floor(2.0 * half / pitch))
    storey = height / max(1.0, np.round(height / 3.3))
    column, floor = np.floor((along + half) / pitch), np.floor(z / storey)
    u, v = along + half - (column + 0.5) * pitch, z - (floor + 0.5) * storey
    shop = floor == 0.0
    wide = pitch * (0.42 if shop else 0.2 + 0.2 * cell_hash(seed, 2, 7))
    tall = storey * (0.36 if shop else 0.24 + 0.1 * cell_hash(seed, 3, 7))
    glass = cover(wide - abs(u), pixel) * cover(tall - abs(v), pixel)
    pane = cell_hash(column + 40 * side, floor, seed)
    shine = 0.16 + 0.22 * pane + 0.12 * sky
    red, green, blue = shine * 0.85, shine * 0.97, shine * 1.1
    if pane > 0.93:
        red, green, blue = 0.85, 0.72, 0.45  # somebody is at home
    ledge = cover(0.12 - abs(z - np.round(z / storey) * storey), pixel)
    wall = 1.0 + 0.12 * ledge - 0.18 * cover(0.5 - z, pixel) + 0.1 * cover(z - height + 0.6, pixel)
    wall *= 0.96 + 0.08 * noise(along * 0.7, z * 0.5, seed)
    return (
        p[RED] * wall * (1 - glass) + red * glass,
        p[GREEN] * wall * (1 - glass) + green * glass,
        p[BLUE] * wall * (1 - glass) + blue * glass,
    )


@jit
def _wheel(lx, z, half_l, radius, colour):
    """Darkness of wheels and underbody on a vehicle's side: replaces ``colour`` by (r, g, b)."""
    across = min(abs(lx - 0.62 * half_l), abs(lx + 0.62 * half_l))
    distance = np.sqrt(across * across + (z - radius) ** 2)
    if distance < 0.55 * radius:
        return 0.5, 0.5, 0.52
    if distance < 1.05 * radius:
        return 0.08, 0.08, 0.09
    if z < 0.22:
        return 0.1, 0.1, 0.11
    return colour


@jit
def _body(p, side, lx, ly, z):
    """Lower body of a car: wheels on the sides, lamps on the ends."""
    red, green, blue = p[RED], p[GREEN], p[BLUE]
    height = p[Z1] - p[Z0]
    if side in (LEFT, RIGHT):
        return _wheel(lx, z, p[HALF_L], min(0.34, 0.45 * height), (red, green, blue))
    if side <= BACK:
        if z < 0.2:
            return 0.1, 0.1, 0.11
        lamp = abs(ly) > 0.58 * p[HALF_W] and 0.55 * height < z < 0.88 * height
        if lamp and side == BACK:
            return 0.85, 0.05, 0.06
        if lamp:
            return 0.97, 0.96, 0.88
        if abs(ly) < 0.3 * p[HALF_W] and 0.45 * height < z < 0.62 * height:
            return (0.82, 0.82, 0.78) if side == BACK else (0.12, 0.12, 0.13)  # number plate, grille
        if z < 0.42 * height:
            return 0.55 * red, 0.55 * green, 0.55 * blue
    return red, green, blue


@jit
def _cabin(p, side, lx, ly, z, sky):
    """Glasshouse of a car: dark glass between pillars, painted roof."""
    height = p[Z1] - p[Z0]
    half_l, half_w = p[HALF_L] - p[TAPER_L] * z, p[HALF_W] - p[TAPER_W] * z
    if side == TOP or z > height - 0.07:
        return p[RED], p[GREEN], p[BLUE]
    if side <= BACK:
        glass = abs(ly) < half_w - 0.07
    else:
        glass = abs(lx) < half_l - 0.12 and abs(lx) > 0.05
    if not glass:
        return p[RED], p[GREEN], p[BLUE]
    shine = 0.1 + 0.16 * sky + 0.14 * z / height
    return shine * 0.9, shine, shine * 1.12


@jit
def _coach(p, side, lx, ly, z):
    """Van, lorry or bus: one tall box with a windscreen; buses have windows all along."""
    red, green, blue = p[RED], p[GREEN], p[BLUE]
    height = p[Z1] - p[Z0]
    glazed = 0.45 * height < z < 0.82 * height
    if side in (LEFT, RIGHT):
        bus = p[HALF_L] > 4.5
        pane = (lx + 50.0) / 1.4
        if glazed and ((bus and abs(pane - np.floor(pane) - 0.5) < 0.44) or p[HALF_L] - 1.6 < lx < p[HALF_L] - 0.3):
            return 0.14, 0.17, 0.2
        return _wheel(lx, z, p[HALF_L], 0.45, (red, green, blue))
    if side <= BACK:
        if z < 0.3:
            return 0.1, 0.1, 0.11
        if glazed and side == FRONT and abs(ly) < p[HALF_W] - 0.12:
            return 0.16, 0.19, 0.22
        if abs(ly) > 0.72 * p[HALF_W] and 0.18 * height < z < 0.34 * height:
            return (0.85, 0.05, 0.06) if side == BACK else (0.97, 0.96, 0.88)
        if side == BACK and abs(ly) < 0.03:
            return 0.6 * red, 0.6 * green, 0.6 * blue
    return red, green, blue


@jit
def _stripes(p, side, lx, ly, z, pixel):
    """Warning colours: slanted white bands on the owner's colour, one level band on a cone."""
    height = p[Z1] - p[Z0]
    if p[SHAPE] == BOX:
        along = ly if side <= BACK else lx
        phase = (along + z) / 0.5
        white = cover(0.5 * (0.25 - abs(phase - np.floor(phase) - 0.5)), pixel) * cover(
            min(z, height - z) - 0.08, pixel
        )
        white *= side < TOP
    else:
        white = cover(0.15 * height - abs(z - 0.5 * height), pixel)
    return p[RED] + (0.93 - p[RED]) * white, p[GREEN] + (0.93 - p[GREEN]) * white, p[BLUE] + (0.9 - p[BLUE]) * white


@jit
def _signal(p, side, lx, ly, z):
    """Traffic-light head: three lamps on every side, the one that its colour tells is lit."""
    height = p[Z1] - p[Z0]
    along = ly if side <= BACK else lx
    lit = 2 if p[RED] > 1.5 * p[GREEN] else (0 if p[GREEN] > 1.2 * p[RED] else 1)
    slot = min(np.floor(3.0 * z / height), 2.0)
    above = z - (slot + 0.5) * height / 3.0
    if side < TOP and slot == lit and along * along + above * above < 0.21**2:
        return p[RED], p[GREEN], p[BLUE], True
    return 0.08, 0.08, 0.08, False


@jit
def surface(p, side, lx, ly, z, pixel, sky):
    """Unlit colour of a primitive at a local point, and whether it shines by itself: (r, g, b, shines).

    ``pixel`` is a pixel's size there in metres, ``sky`` in [0, 1] how much of the bright sky a glass there mirrors.
    """
    material = p[MATERIAL]
    if material == FACADE:
        red, green, blue = _facade(p, side, lx, ly, z, pixel, sky)
    elif material == FOLIAGE:
        seed = np.int64(p[SEED])
        leaf = noise(1.3 * (lx + ly), 1.3 * (z + lx - ly), seed) + 0.6 * noise(3.0 * (lx - z), 3.0 * (ly + z), seed)
        leaf = 0.66 + 0.45 * leaf
        red, green, blue = p[RED] * leaf, p[GREEN] * leaf, p[BLUE] * leaf
    elif material == BODY:
        red, green, blue = _body(p, side, lx, ly, z)
    elif material == CABIN:
        red, green, blue = _cabin(p, side, lx, ly, z, sky)
    elif material == COACH:
        red, green, blue = _coach(p, side, lx, ly, z)
    elif material == STRIPES:
        red, green, blue = _stripes(p, side, lx, ly, z, pixel)
    elif material == LAMP:
        return _signal(p, side, lx, ly, z)
    else:
        red, green, blue = p[RED], p[GREEN], p[BLUE]
    return red, green, blue, False
