"""The colour of every rendered pixel (numba): ground, surfaces, soft shadows of road users, sky and haze."""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.materials import cell_hash, clamp, mix, noise, surface
from wotempo.city.sensors.primitives import LAMP
from wotempo.city.sensors.raycast import SOURCES, box_interval, jit, kernel, surface_normal

MIXED = 128  # bit of a ground cell that has another class among its eight neighbours
HAZE = 320.0  # metres at which 63 % of a colour is haze
HAZE_COLOUR = (0.80, 0.86, 0.91)  # also that of the sky above the horizon
_TAPS = 48  # most samples along the footprint of a grazing ground pixel


@jit
def _ground_cell(ground, column, row):
    """A cell of the prepared raster, its MIXED bit included; grass beyond the raster."""
    if 0 <= row < ground.shape[0] and 0 <= column < ground.shape[1]:
        return np.int64(ground[np.int64(row), np.int64(column)])
    return np.int64(0)


@jit
def _class_colour(ground, palette, column, row, weights):
    """Colour at a continuous raster position, smooth across cells of different classes.

    Each class has the weight that a quadratic B-spline gives its cells, squared: edges that run askew to the raster
    come out straight instead of as stairs, and still crisp. ``weights`` (9,) is scratch.
    """
    j, i = np.floor(column), np.floor(row)
    name = _ground_cell(ground, j, i)
    if name < MIXED:
        return palette[name, 0], palette[name, 1], palette[name, 2]
    u, v = column - j - 0.5, row - i - 0.5
    weights[:] = 0.0
    for di in range(-1, 2):
        down = 0.75 - v * v if di == 0 else 0.5 * (0.5 + di * v) ** 2
        for dj in range(-1, 2):
            right = 0.75 - u * u if dj == 0 else 0.5 * (0.5 + dj * u) ** 2
            weights[_ground_cell(ground, j + dj, i + di) & (MIXED - 1)] += down * right
    red, green, blue, total = 0.0, 0.0, 0.0, 0.0
    for k in range(len(weights)):
        weight = weights[k] * weights[k]
        red, green, blue = red + weight * palette[k, 0], green + weight * palette[k, 1], blue + weight * palette[k, 2]
        total += weight
    return red / total, green / total, blue / total


@jit
def _tone(tone, column, row):
    """Bilinear brightness of the ground from the coarse raster; 1 beyond it."""
    j, i = np.int64(np.floor(column - 0.5)), np.int64(np.floor(row - 0.5))
    if not (0 <= i < tone.shape[0] - 1 and 0 <= j < tone.shape[1] - 1):
        return 1.0
    u, v = column - 0.5 - j, row - 0.5 - i
    low = tone[i, j] * (1 - u) + tone[i, j + 1] * u
    high = tone[i + 1, j] * (1 - u) + tone[i + 1, j + 1] * u
    return low * (1 - v) + high * v


@jit
def _ground(ground, palette, tone, tone_ratio, gx, gy, ax, ay, length, width, cell, weights):
    """Colour of a ground pixel at district (gx, gy), whose footprint is ``length`` along (ax, ay) and ``width`` across.

    At a grazing angle a pixel covers metres of road: it averages several samples along its footprint, otherwise lane
    markings would flicker.
    """
    taps = int(min(_TAPS, 1.0 + length / max(cell, 0.15)))
    red, green, blue = 0.0, 0.0, 0.0
    if taps <= 4:
        for k in range(taps):
            along = ((k + 0.5) / taps - 0.5) * length
            x, y = (gx + along * ax) / cell, (gy + along * ay) / cell
            r, g, b = _class_colour(ground, palette, x, y, weights)
            red, green, blue = red + r, green + g, blue + b
    else:
        for k in range(taps):
            along = ((k + 0.5) / taps - 0.5) * length
            across = (0.618 * k - np.floor(0.618 * k) - 0.5) * width
            x, y = gx + along * ax - across * ay, gy + along * ay + across * ax
            name = _ground_cell(ground, np.floor(x / cell), np.floor(y / cell)) & (MIXED - 1)
            red, green, blue = red + palette[name, 0], green + palette[name, 1], blue + palette[name, 2]
    light = _tone(tone, gx / (cell * tone_ratio), gy / (cell * tone_ratio)) / taps
    fade = clamp(0.12 / max(length, width))
    if fade > 0.02:  # grain of the surface: two sizes of grit
        grit = cell_hash(np.floor(gx * 25.0), np.floor(gy * 25.0), 1.0) + noise(gx * 6.0, gy * 6.0, 2.0) - 1.0
        light *= 1.0 + 0.09 * fade * grit
    return red * light, green * light, blue * light


@jit
def _sky(x, y, z, glow):
    """Colour of the sky in the unit direction (x, y, z), cosine ``glow`` from the sun: a gradient and a few clouds."""
    up = max(z, 0.0)
    t = np.sqrt(up)
    red, green, blue = 0.80 - 0.48 * t, 0.86 - 0.36 * t, 0.91 - 0.14 * t
    glow = glow * glow * glow
    glow *= glow
    glow *= glow * glow * glow  # the 24th power
    cloud = 0.0
    if up > 0.02:
        u, v = 1.6 * x / (up + 0.15), 1.6 * y / (up + 0.15)
        cloud = 0.6 * noise(u, v, 11.0) + 0.3 * noise(2.1 * u, 2.1 * v, 12.0) + 0.15 * noise(4.3 * u, 4.3 * v, 13.0)
        cloud = clamp(2.6 * (cloud - 0.5)) * clamp(8.0 * up) * 0.75
    return mix((red + 0.2 * glow, green + 0.16 * glow, blue + 0.08 * glow), (0.96, 0.96, 0.97), cloud)


@kernel
def shadow(origin, rays, depth, hit, casters, windows, sun, light, sources=SOURCES):
    """Darkens ``light`` (H, W) float32 of ground pixels in the shade of ``casters`` (rows like primitives).

    The way of the sunlight through the caster's box says how dark: zero at the shadow's rim, so shadows are soft. Close
    around the box the sky is hidden as well (contact shadow).
    """
    for i in range(len(casters)):
        p = casters[i]
        cos, sin, height = p.cos, p.sin, p.z1 - p.z0
        sx, sy = cos * sun[0] + sin * sun[1], cos * sun[1] - sin * sun[0]
        for r in range(windows[i, 0], windows[i, 1]):
            for c in range(windows[i, 2], windows[i, 3]):
                if hit[r, c] >= 0 or depth[r, c] == np.inf:
                    continue
                t = depth[r, c]
                x, y = origin[0] + t * rays[r, c, 0] - p.x, origin[1] + t * rays[r, c, 1] - p.y
                z = origin[2] + t * rays[r, c, 2] - p.z0
                lx, ly = cos * x + sin * y, cos * y - sin * x
                entry, leave, _ = box_interval(lx, ly, z, sx, sy, sun[2], p.half_l, p.half_w, height, 0.0, 0.0)
                dark = 0.45 * clamp((leave - max(entry, 0.0)) / 0.5)
                gap = np.sqrt(max(abs(lx) - p.half_l, 0.0) ** 2 + max(abs(ly) - p.half_w, 0.0) ** 2)
                dark = max(dark, 0.6 * clamp(1.0 - gap / 0.5))
                light[r, c] *= 1.0 - dark


@kernel
def shade(
    origin, rays, focal, depth, hit, face, prims, ground, cell, palette, tone, tone_ratio, place, light, sun, out,
    sources=SOURCES,
):  # fmt: skip
    """Fills ``out`` (H, W, 3) float32 in [0, 1].

    Everything is in the ego frame except ``ground``, ``tone`` (rasters) and ``place`` = (x, y, cos, sin) of the ego in
    the district frame. ``focal`` in pixels gives the size of a pixel, ``sun`` (3,) points to the sun.
    """
    rows, columns = depth.shape
    weights = np.empty(len(palette))
    for r in range(rows):
        for c in range(columns):
            dx, dy, dz = np.float64(rays[r, c, 0]), np.float64(rays[r, c, 1]), np.float64(rays[r, c, 2])
            norm = np.sqrt(dx * dx + dy * dy + dz * dz)
            t = np.float64(depth[r, c])
            if t == np.inf:  # clouds are fixed to the world, not to the ego
                wx, wy = (place[2] * dx - place[3] * dy) / norm, (place[3] * dx + place[2] * dy) / norm
                glow = max((dx * sun[0] + dy * sun[1] + dz * sun[2]) / norm, 0.0)
                out[r, c, 0], out[r, c, 1], out[r, c, 2] = _sky(wx, wy, dz / norm, glow)
                continue
            x, y, z = origin[0] + t * dx, origin[1] + t * dy, origin[2] + t * dz
            pixel = t / focal
            far = t * norm / HAZE
            haze = 1.0 - np.exp(-far * np.sqrt(far))
            if hit[r, c] < 0:
                gx, gy = place[0] + place[2] * x - place[3] * y, place[1] + place[3] * x + place[2] * y
                flat = np.sqrt(dx * dx + dy * dy)
                ax, ay = (place[2] * dx - place[3] * dy) / flat, (place[3] * dx + place[2] * dy) / flat
                length = pixel * norm / max(-dz / norm, 1e-3)
                red, green, blue = _ground(
                    ground, palette, tone, tone_ratio, gx, gy, ax, ay, length, pixel, cell, weights
                )
                lit = np.float64(light[r, c])
            else:
                p = prims[hit[r, c]]
                lx, ly = p.cos * (x - p.x) + p.sin * (y - p.y), p.cos * (y - p.y) - p.sin * (x - p.x)
                nx, ny, nz = surface_normal(p, face[r, c], lx, ly, z - p.z0)
                ex, ey = p.cos * nx - p.sin * ny, p.sin * nx + p.cos * ny
                facing = -(ex * dx + ey * dy + nz * dz) / norm
                mirrored = clamp(dz / norm + 2.0 * facing * nz + 0.5)
                red, green, blue = surface(p, face[r, c], lx, ly, z - p.z0, pixel / max(facing, 0.1), mirrored)
                if p.material == LAMP:  # shines by itself
                    lit, haze = 1.0, 0.3 * haze
                else:
                    lit = 0.62 + 0.46 * max(ex * sun[0] + ey * sun[1] + nz * sun[2], 0.0) + 0.1 * nz
            hazy = mix((red * lit, green * lit, blue * lit), HAZE_COLOUR, haze)
            out[r, c, 0], out[r, c, 1], out[r, c, 2] = hazy
