"""The returns of a LiDAR (numba): lost ones, range noise, intensity, from the surfaces that its beams met."""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.primitives import BODY, CABIN, COACH, FACADE, FOLIAGE, LAMP, PLAIN, STRIPES
from wotempo.city.sensors.raycast import RIGHT, SOURCES, kernel, surface_normal
from wotempo.city.sensors.world import GroundClass

# Reflected intensity (0..255) of a surface that is met head-on, and how much of its sides mirrors the beam away.
_SURFACE = {
    PLAIN: (50, 0.0),
    FACADE: (70, 0.0),
    FOLIAGE: (45, 0.08),
    BODY: (90, 0.03),
    CABIN: (35, 0.35),  # glass
    COACH: (90, 0.05),
    STRIPES: (220, 0.0),  # reflective sheeting
    LAMP: (40, 0.0),
}
SURFACES = np.array([_SURFACE[material] for material in range(len(_SURFACE))], dtype=np.float64)
GROUND = np.full(len(GroundClass), 26.0)
GROUND[[GroundClass.MARKING_WHITE, GroundClass.CROSSWALK, GroundClass.STOP_LINE]] = 120.0
GROUND[[GroundClass.MARKING_YELLOW, GroundClass.WALKWAY, GroundClass.GRASS]] = 95.0, 48.0, 60.0


@kernel
def receive(
    origin, rays, distance, hit, face, prims, ground, cell, place, surfaces, paints, noise, luck, reach, xyz, intensity,
    ring, sources=SOURCES,
):  # fmt: skip
    """Fills the first n rows of xyz (N, 3) float32, intensity and ring (N,) uint8, and returns n.

    rays (H, W, 3) of unit length; distance, hit, face (H, W) from ``cast``; ground (raster of GroundClass), cell and
    place as for ``shade``; noise (H, W) metres and luck (H, W) in [0, 1) decide each ray's fate; ``reach`` is the
    greatest range. Far and grazing returns get lost, as do those that glass mirrors away.
    """
    count = 0
    for r in range(distance.shape[0]):
        for c in range(distance.shape[1]):
            t = np.float64(distance[r, c])
            if t >= reach:
                continue
            dx, dy, dz = np.float64(rays[r, c, 0]), np.float64(rays[r, c, 1]), np.float64(rays[r, c, 2])
            x, y, z = origin[0] + t * dx, origin[1] + t * dy, origin[2] + t * dz
            mirrored = 0.0
            if hit[r, c] < 0:
                column = np.int64(np.floor((place[0] + place[2] * x - place[3] * y) / cell))
                row = np.int64(np.floor((place[1] + place[3] * x + place[2] * y) / cell))
                name = 0  # grass beyond the raster
                if 0 <= row < ground.shape[0] and 0 <= column < ground.shape[1]:
                    name = np.int64(ground[row, column])
                cosine, brightness = -dz, paints[name]
            else:
                p = prims[hit[r, c]]
                lx, ly = p.cos * (x - p.x) + p.sin * (y - p.y), p.cos * (y - p.y) - p.sin * (x - p.x)
                nx, ny, nz = surface_normal(p, face[r, c], lx, ly, z - p.z0)
                ahead, left = p.cos * dx + p.sin * dy, p.cos * dy - p.sin * dx
                cosine = -(nx * ahead + ny * left + nz * dz)
                material = np.int64(p.material)
                brightness = surfaces[material, 0]
                if face[r, c] <= RIGHT:
                    mirrored = surfaces[material, 1]
            far = t / reach
            lost = 0.01 + mirrored + 0.5 * far * far + 0.8 * far * (1.0 - cosine) ** 4
            if luck[r, c] < lost:
                continue
            xyz[count, 0] = x + noise[r, c] * dx
            xyz[count, 1] = y + noise[r, c] * dy
            xyz[count, 2] = z + noise[r, c] * dz
            intensity[count] = np.uint8(min(brightness * (0.35 + 0.65 * cosine) * (0.85 + 0.3 * luck[r, c]), 255.0))
            ring[count] = r
            count += 1
    return count
