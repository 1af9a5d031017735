"""A town is a row of districts in one map; a district is everything that its logs share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from wotempo.city.sensors.furniture import signal_furniture, street_lamps
from wotempo.city.sensors.ground import CELL, paint_ground
from wotempo.city.sensors.solids import draw_solids
from wotempo.city.sensors.world import GroundClass, StaticWorld
from wotempo.city.streets.district import draw_network
from wotempo.city.streets.network import Network
from wotempo.city.streets.surroundings import Surroundings, draw_surroundings

_UNPAVED = (GroundClass.GRASS, GroundClass.WALKWAY)  # for wheels
LOCATION, PROJECTED_CRS = "us-nv-las-vegas-strip", "EPSG:32611"
CORNER = np.array([662_000.0, 3_994_000.0])  # of the town, UTM zone 11
PITCH = 1500.0  # metres between districts: no sensor or map query sees two of them
ROW = 4  # districts per row


@dataclass(frozen=True)
class District:
    """One district, in local metres; add ``origin`` for global ones."""

    index: int
    origin: np.ndarray  # (2,) global x, y of the local origin
    network: Network
    surroundings: Surroundings


def district_origin(index: int) -> np.ndarray:
    """(2,) global; not round, so that nothing depends on it being so."""
    return CORNER + PITCH * np.array([index % ROW, index // ROW]) + np.array([137.31, 89.57])


@lru_cache(maxsize=2)  # a worker simulates its logs district by district
def draw_district(seed: int, index: int) -> District:
    """District ``index`` of the town with this seed, always the same."""
    rng = np.random.default_rng([seed, index, 101])
    network = draw_network(rng)
    return District(index, district_origin(index), network, draw_surroundings(network, rng))


@lru_cache(maxsize=2)
def draw_world(seed: int, index: int) -> StaticWorld:
    """What stands in district ``index``, for the renderer; the same object while a worker stays in the district."""
    district = draw_district(seed, index)
    canvas = paint_ground(district.network, district.surroundings)
    rows = draw_solids(district.network, canvas, np.random.default_rng([seed, index, 102]))
    rows += [row for row in street_lamps(district.network) if canvas.at(np.array(row[:2])) in _UNPAVED]
    rows += signal_furniture(district.network)[1]
    solids = np.array(rows)
    solids[:, :2] -= canvas.corner
    origin = district.origin + canvas.corner
    return StaticWorld(canvas.cells, (float(origin[0]), float(origin[1])), CELL, solids.astype(np.float32))
