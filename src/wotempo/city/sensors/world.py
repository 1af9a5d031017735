"""The world that is rendered: the standing town, and the agents of one frame.

Coordinates are global (map UTM, metres; float64 wherever an absolute x or y is stored, because float32 is no finer
than 0.25 m at northings of four million). The ground is a plane: z = 0 is the road surface, and the ego's rear axle is
``AXLE_HEIGHT`` above it, so that in the ego frame the ground lies at z = -0.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from wotempo.navsim.schema import AGENT_NAMES, STATIC_NAMES

AXLE_HEIGHT = 0.4  # metres of the rear axle above the ground; the global z of every ego pose
CLASS_NAMES = AGENT_NAMES + STATIC_NAMES  # what ``Actors.classes`` indexes


class GroundClass(IntEnum):
    """What a cell of the ground raster is covered with."""

    GRASS = 0
    ROAD = 1
    INTERSECTION = 2
    MARKING_WHITE = 3
    WALKWAY = 4
    CROSSWALK = 5
    CAR_PARK = 6
    STOP_LINE = 7
    MARKING_YELLOW = 8


class SolidKind(IntEnum):
    """Last column of ``StaticWorld.solids``."""

    BUILDING = 0
    POLE = 1
    TREE = 2


@dataclass(frozen=True, eq=False)  # by identity: what is prepared for a world is kept with it
class StaticWorld:
    """One district: what does not move and is not annotated.

    ``ground[r, c]`` covers x in [x0 + c·cell, x0 + (c+1)·cell), y likewise with r; outside of it lies grass.
    ``solids`` columns: cx, cy, z0, z1, length, width, yaw, r, g, b (0..255), kind. Its cx and cy are relative to
    ``ground_origin`` so that float32 holds them to well below a millimetre.
    """

    ground: np.ndarray  # (H, W) uint8 of GroundClass
    ground_origin: tuple[float, float]  # global x, y of the corner of ground[0, 0]
    ground_cell: float  # metres
    solids: np.ndarray  # (M, 11) float32


@dataclass(frozen=True)
class Actors:
    """Everyone and everything annotated in one frame except the ego, and the traffic-light lamps."""

    boxes: np.ndarray  # (N, 7) float64 global: x, y, z of the centre, length, width, height, yaw
    classes: np.ndarray  # (N,) int64 index into CLASS_NAMES
    colours: np.ndarray  # (N, 3) uint8
    lights: np.ndarray  # (L, 6) float64: global x, y, z of a lamp's centre, then its present colour r, g, b (0..255)
