"""The parameters of the targets, and where ``compat`` and ``fixed`` part.

| | compat (as the public WoTE draws) | fixed |
|---|---|---|
| pedestrians | class 7, the ego's (a mask is re-used by mistake) | class 6 |
| ego box | 4.0 × 2.0 m centred on the rear axle | the vehicle's footprint: 5.176 × 2.297 m, centre 1.461 m ahead |
| vertex -> cell | truncated toward zero: the first cell off row or column 0 falls inside | the cell that holds it |
| map query | ±32 m along the *global* axes: misses corners when the ego stands askew | reaches every corner |

The same in both, by the definition of the classes: bicycles are in no class, polygons are drawn without holes, centre
lines are two cells thick, and the future is the recorded one with a hypothetical ego.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal

from wotempo.errors import UserError
from wotempo.geometry import LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid

Mode = Literal["compat", "fixed"]

# Counts up whenever the same parameters would give other bytes: caches of an older revision are then not re-used.
REVISION = 1


class BevClass(IntEnum):
    """Values of a BEV semantic map, in painting order: a later class covers an earlier one."""

    BACKGROUND = 0
    ROAD = 1
    WALKWAY = 2
    CENTRELINE = 3
    STATIC = 4
    VEHICLE = 5
    PEDESTRIAN = 6
    EGO = 7


@dataclass(frozen=True)
class EgoBox:
    """The painted ego: metres, ``offset`` from the rear axle forward to the centre."""

    length: float
    width: float
    offset: float


EGO_BOX: dict[str, EgoBox] = {
    "compat": EgoBox(4.0, 2.0, 0.0),
    "fixed": EgoBox(5.176, 2.297, 1.461),  # nuPlan's Chrysler Pacifica
}


@dataclass(frozen=True)
class TargetSpec:
    """``future_index`` counts 0.5 s steps: 8 is the frame 4 s ahead and the anchors' last pose."""

    grid: BevGrid = SEMANTIC_FRONT
    mode: Mode = "fixed"
    num_agents: int = 30
    agent_grid: BevGrid = LIDAR_HISTOGRAM  # vehicles are listed inside its extent
    num_poses: int = 8
    future_index: int = 8
    num_sampled: int = 1  # anchors per sample whose ego box is painted into the future map
    futures: bool = False  # with the agents' next poses (``agent_future``)

    def __post_init__(self) -> None:
        if self.mode not in EGO_BOX:
            raise UserError(f"target mode '{self.mode}' is unknown: choose compat or fixed")
        if not 1 <= self.future_index <= self.num_poses:
            raise UserError(f"future_index = {self.future_index} is no pose of the {self.num_poses} of a trajectory")

    @property
    def ego_box(self) -> EgoBox:
        return EGO_BOX[self.mode]

    @property
    def query_radius(self) -> float:
        """Half side in metres of the map query, a square around the ego with the axes of the global frame."""
        x = max(abs(self.grid.x_min), abs(self.grid.x_max))
        y = max(abs(self.grid.y_min), abs(self.grid.y_max))
        return max(x, y) if self.mode == "compat" else (x * x + y * y) ** 0.5

    @property
    def content_hash(self) -> str:
        """16 hex digits that differ whenever the cached targets of one and the same scene would differ."""
        parameters = asdict(self)
        del parameters["num_sampled"]  # sampled ego boxes are painted when a batch is made, not cached
        if not self.futures:  # caches without them are older than the word
            del parameters["futures"]
        text = json.dumps({"revision": REVISION, **parameters}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
