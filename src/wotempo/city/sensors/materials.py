"""Patterns on the surfaces of buildings and road users (numba functions that the shading kernel inlines).

Every pattern is a hash of the place it lies on, so a wall looks the same in every frame and from every camera; what is
finer than a pixel fades out, so that nothing flickers.
"""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.primitives import BODY, BOX, CABIN, COACH, FACADE, FOLIAGE, STRIPES
from wotempo.city.sensors.raycast import BACK, FRONT, LEFT, RIGHT, TOP, jit


@jit
def cell_hash(i, j, seed):
    """[0, 1) from two lattice coordinates and a seed, all floats: numba would compile a copy per integer literal."""
    n = (np.int64(i) * 374761393 + np.int64(j) * 668265263 + np.int64(seed) * 974634777) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65536.0


@jit
def noise(x, y, seed):
    """Smooth noise in [0, 1) with features of size one."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    low = cell_hash(i, j, seed) * (1.0 - u) + cell_hash(i + 1.0, j, seed) * u
    high = cell_hash(i, j + 1.0, seed) * (1.0 - u) + cell_hash(i + 1.0, j + 1.0, seed) * u
    return low * (1.0 - v) + high * v


@jit
def clamp(value):
    return min(max(value, 0.0), 1.0)


@jit
def cover(inside, pixel):
    """Antialiased membership from the signed distance ``inside`` of an edge and the size of a pixel there (metres)."""
    return clamp(inside / pixel + 0.5)


@jit
def mix(base, over, weight):
    """``over`` painted on ``base`` with a weight in [0, 1]."""
    return (
        base[0] + (over[0] - base[0]) * weight,
        base[1] + (over[1] - base[1]) * weight,
        base[2] + (over[2] - base[2]) * weight,
    )


@jit
def _facade(p, side, lx, ly, z, pixel, sky):
    """A wall of windows: (r, g, b) before lighting. ``pixel`` is the size of a pixel on the wall."""
    seed = p.seed
    if side >= TOP:
        return 0.55 * p.red + 0.2, 0.55 * p.green + 0.2, 0.55 * p.blue + 0.2
    along, half = (ly, p.half_w) if side <= BACK else (lx, p.half_l)
    height = p.z1 - p.z0
    pitch = 2.4 + 1.6 * cell_hash(seed, 1.0, 7.0)
    pitch = 2.0 * half / max(1.0, np.floor(2.0 * half / pitch))
    storey = height / max(1.0, np.floor(height / 3.3 + 0.5))
    column, floor = np.floor((along + half) / pitch), np.floor(z / storey)
    u, v = along + half - (column + 0.5) * pitch, z - (floor + 0.5) * storey
    shop = floor == 0.0
    wide = pitch * (0.42 if shop else 0.2 + 0.2 * cell_hash(seed, 2.0, 7.0))
    tall = storey * (0.36 if shop else 0.24 + 0.1 * cell_hash(seed, 3.0, 7.0))
    glass = cover(wide - abs(u), pixel) * cover(tall - abs(v), pixel)
    pane = cell_hash(column + 40 * side, floor, seed)
    shine = 0.16 + 0.22 * pane + 0.12 * sky
    red, green, blue = shine * 0.85, shine * 0.97, shine * 1.1
    if pane > 0.93:
        red, green, blue = 0.85, 0.72, 0.45  # somebody is at home
    ledge = cover(0.12 - abs(z - np.floor(z / storey + 0.5) * storey), pixel)
    wall = 1.0 + 0.12 * ledge - 0.18 * cover(0.5 - z, pixel) + 0.1 * cover(z - height + 0.6, pixel)
    wall *= 0.96 + 0.08 * noise(along * 0.7, z * 0.5, seed)
    return mix((p.red * wall, p.green * wall, p.blue * wall), (red, green, blue), glass)


@jit
def _running_gear(colour, lx, z, half_l, radius, pixel):
    """A vehicle's side: underbody and two wheels."""
    across = min(abs(lx - 0.62 * half_l), abs(lx + 0.62 * half_l))
    distance = np.sqrt(across * across + (z - radius) ** 2)
    colour = mix(colour, (0.1, 0.1, 0.11), cover(0.22 - z, pixel))
    colour = mix(colour, (0.08, 0.08, 0.09), cover(1.05 * radius - distance, pixel))
    return mix(colour, (0.5, 0.5, 0.52), cover(0.58 * radius - distance, pixel))


@jit
def _lamps(colour, side, outward, z, low, high, pixel):
    """Red lamps behind, white ones in front, where ``outward`` metres beyond the inner edge of a lamp is positive."""
    lamp = (0.85, 0.05, 0.06) if side == BACK else (0.97, 0.96, 0.88)
    return mix(colour, lamp, cover(outward, pixel) * cover(min(z - low, high - z), pixel))


@jit
def _body(p, side, lx, ly, z, pixel):
    """Lower body of a car: wheels on the sides, lamps on the ends."""
    colour = (p.red, p.green, p.blue)
    height, half_w = p.z1 - p.z0, p.half_w
    if side in (LEFT, RIGHT):
        return _running_gear(colour, lx, z, p.half_l, min(0.34, 0.45 * height), pixel)
    if side <= BACK:
        colour = mix(colour, (0.55 * p.red, 0.55 * p.green, 0.55 * p.blue), cover(0.42 * height - z, pixel))
        colour = mix(colour, (0.1, 0.1, 0.11), cover(0.2 - z, pixel))
        colour = _lamps(colour, side, abs(ly) - 0.58 * half_w, z, 0.55 * height, 0.88 * height, pixel)
        plate = (0.82, 0.82, 0.78) if side == BACK else (0.12, 0.12, 0.13)  # number plate behind, grille in front
        shown = cover(0.3 * half_w - abs(ly), pixel) * cover(0.085 * height - abs(z - 0.535 * height), pixel)
        colour = mix(colour, plate, shown)
    return colour


@jit
def _cabin(p, side, lx, ly, z, pixel, sky):
    """Glasshouse of a car: dark glass between pillars, painted roof."""
    colour = (p.red, p.green, p.blue)
    if side >= TOP:
        return colour
    height = p.z1 - p.z0
    if side <= BACK:
        glass = cover(p.half_w - p.taper_w * z - 0.07 - abs(ly), pixel)
    else:
        glass = cover(min(p.half_l - p.taper_l * z - 0.12 - abs(lx), abs(lx) - 0.04), pixel)
    shine = 0.1 + 0.16 * sky + 0.14 * z / height
    return mix(colour, (0.9 * shine, shine, 1.12 * shine), glass * cover(height - 0.07 - z, pixel))


@jit
def _coach(p, side, lx, ly, z, pixel):
    """Van, lorry or bus: one tall box with a windscreen; buses have windows all along."""
    colour = (p.red, p.green, p.blue)
    height, half_l, half_w = p.z1 - p.z0, p.half_l, p.half_w
    glazed = cover(min(z - 0.45 * height, 0.82 * height - z), pixel)
    if side in (LEFT, RIGHT):
        glass = cover(min(lx - half_l + 1.6, half_l - 0.3 - lx), pixel)  # the driver's door
        if half_l > 4.5:
            pane = lx / 1.4 - np.floor(lx / 1.4) - 0.5
            glass = max(glass, cover(1.4 * (0.44 - abs(pane)), pixel))
        colour = mix(colour, (0.14, 0.17, 0.2), glazed * glass)
        return _running_gear(colour, lx, z, half_l, 0.45, pixel)
    if side <= BACK:
        if side == FRONT:
            colour = mix(colour, (0.16, 0.19, 0.22), glazed * cover(half_w - 0.12 - abs(ly), pixel))
        else:  # the gap between two doors
            colour = mix(colour, (0.5 * p.red, 0.5 * p.green, 0.5 * p.blue), cover(0.03 - abs(ly), pixel))
        colour = _lamps(colour, side, abs(ly) - 0.72 * half_w, z, 0.18 * height, 0.34 * height, pixel)
        colour = mix(colour, (0.1, 0.1, 0.11), cover(0.3 - z, pixel))
    return colour


@jit
def _stripes(p, side, lx, ly, z, pixel):
    """Warning colours: slanted white bands on the owner's colour, one level band on a cone."""
    height = p.z1 - p.z0
    if p.shape == BOX:
        along = ly if side <= BACK else lx
        phase = (along + z) / 0.5
        slanted = cover(0.5 * (0.25 - abs(phase - np.floor(phase) - 0.5)), pixel)
        white = slanted * cover(min(z, height - z) - 0.08, pixel) * (side < TOP)
    else:
        white = cover(0.15 * height - abs(z - 0.5 * height), pixel)
    return mix((p.red, p.green, p.blue), (0.93, 0.93, 0.9), white)


@jit
def surface(p, side, lx, ly, z, pixel, sky):
    """Unlit colour (r, g, b) of a primitive at a local point.

    ``pixel`` is a pixel's size there in metres, ``sky`` in [0, 1] how much of the bright sky a glass there mirrors.
    """
    if p.material == FACADE:
        return _facade(p, side, lx, ly, z, pixel, sky)
    if p.material == FOLIAGE:
        leaf = noise(1.3 * (lx + ly), 1.3 * (z + lx - ly), p.seed)
        leaf = 0.66 + 0.45 * (leaf + 0.6 * noise(3.0 * (lx - z), 3.0 * (ly + z), p.seed))
        return p.red * leaf, p.green * leaf, p.blue * leaf
    if p.material == BODY:
        return _body(p, side, lx, ly, z, pixel)
    if p.material == CABIN:
        return _cabin(p, side, lx, ly, z, pixel, sky)
    if p.material == COACH:
        return _coach(p, side, lx, ly, z, pixel)
    if p.material == STRIPES:
        return _stripes(p, side, lx, ly, z, pixel)
    return p.red, p.green, p.blue
