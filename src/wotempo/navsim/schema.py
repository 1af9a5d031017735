"""The records of a NAVSIM log, plain and typed.

Frames: everything called *ego* is the rear-axle frame (x forward, y left, z up), which the merged LiDAR cloud, boxes
and camera extrinsics share; everything called *global* is map UTM (easting, northing), float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.errors import UserError

CAMERAS = ("CAM_F0", "CAM_L0", "CAM_L1", "CAM_L2", "CAM_R0", "CAM_R1", "CAM_R2", "CAM_B0")
STITCHED_CAMERAS = ("CAM_L0", "CAM_F0", "CAM_R0")
AGENT_NAMES = ("vehicle", "pedestrian", "bicycle")
STATIC_NAMES = ("traffic_cone", "barrier", "czone_sign", "generic_object")
COMMANDS = ("left", "forward", "right", "unknown")

NUM_HISTORY = 4  # t = -1.5, -1.0, -0.5, 0 s; the last one is the current frame
NUM_FUTURE = 10  # 0.5 … 5.0 s: time-to-collision looks 1 s past the 4 s horizon
FRAME_PERIOD_S = 0.5
MAX_GAP_S = 0.55  # frames further apart do not belong to one window


@dataclass(frozen=True)
class Camera:
    """One camera of one frame. ``path`` is relative to ``sensor_blobs/<split>``."""

    path: str
    rotation: np.ndarray  # (3, 3) camera -> ego; camera axes x right, y down, z forward
    translation: np.ndarray  # (3,) metres in the ego frame
    intrinsics: np.ndarray  # (3, 3) pixels of the 1920×1080 image
    distortion: np.ndarray  # (5,) k1, k2, p1, p2, k3


@dataclass(frozen=True)
class Boxes:
    """Annotated road users and static things of one frame, in the ego frame of that frame."""

    boxes: np.ndarray  # (N, 7) float64: x, y, z of the centre, length, width, height, yaw
    names: np.ndarray  # (N,) str, of AGENT_NAMES or STATIC_NAMES
    velocity: np.ndarray  # (N, 3) m/s, the object's own velocity in ego axes; 0 where a log has NaN: not known
    instance_tokens: list[str]  # one per frame
    track_tokens: list[str]  # stable over the log


class Defect(NamedTuple):
    """What is wrong with one frame of a log. ``cause`` is the same text for the same fault, so that faults can be
    counted; ``where`` names the log and the frame, and the track and the values where they tell more."""

    cause: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: {self.cause}"


@dataclass(frozen=True)
class Frame:
    """One 2 Hz frame of a log."""

    token: str  # 16 hex digits
    frame_idx: int
    timestamp_us: int
    log_name: str
    log_token: str
    scene_name: str
    scene_token: str
    map_location: str
    vehicle_name: str
    pose: np.ndarray  # (3,) global x, y, heading of the rear axle, float64
    height: float  # global z of the rear axle, metres
    velocity: np.ndarray  # (2,) ego axes, m/s
    acceleration: np.ndarray  # (2,) ego axes, m/s²
    yaw_rate: float  # rad/s
    command: np.ndarray  # (4,) int one-hot of COMMANDS
    roadblock_ids: tuple[str, ...]  # route, may be empty
    traffic_lights: tuple[tuple[int, bool], ...]  # (lane connector id, is red)
    cameras: dict[str, Camera]
    lidar_path: str  # relative to sensor_blobs/<split>
    boxes: Boxes | None  # None in private test logs, and where they cannot be read (then there is a defect)
    defect: Defect | None = None  # no scene that holds such a frame can be trained on or scored

    @property
    def annotated(self) -> bool:
        """Whether its boxes are known."""
        return self.boxes is not None

    @property
    def sensor_files(self) -> tuple[str, ...]:
        """Of STITCHED_CAMERAS and the LiDAR, relative to ``sensor_blobs/<split>``; "" for one that the log names none
        of."""
        named = [self.cameras[name].path if name in self.cameras else "" for name in STITCHED_CAMERAS]
        return (*named, self.lidar_path)

    @property
    def has_route(self) -> bool:
        return bool(self.roadblock_ids)


@dataclass(frozen=True)
class Log:
    """One log file: time-ordered frames."""

    name: str
    split: str
    frames: list[Frame]
    unknown_velocities: int = 0  # boxes whose velocity is NaN in the file, and was read as 0

    def token_of(self, place: int) -> str:
        """Of a frame."""
        return self.frames[place].token

    def for_a_task(self, first: int, last: int) -> tuple[Log, int]:
        """What of the log another process needs for the frames ``first`` to ``last``, and the position of the first
        frame of it in this log."""
        return Log(self.name, self.split, self.frames[first : last + 1]), first


@dataclass(frozen=True, slots=True)
class Scene:
    """A window of a log: up to NUM_HISTORY frames ending with the current one, and the future.

    History that the log does not hold is absent: ``history`` then has None at its *front*, never a copy.
    """

    log: Log
    index: int  # of the current frame in log.frames
    num_history: int = NUM_HISTORY
    num_future: int = NUM_FUTURE
    max_gap_s: float = MAX_GAP_S

    @property
    def current(self) -> Frame:
        return self.log.frames[self.index]

    @property
    def token(self) -> str:
        """The scene's id is the token of its current frame."""
        return self.log.token_of(self.index)

    @property
    def defect(self) -> Defect | None:
        """Of the first defective frame that the scene holds; None where all of ``history`` and ``future`` are whole."""
        held = (frame for frame in (*self.history, *self.future) if frame is not None)
        return next((frame.defect for frame in held if frame.defect is not None), None)

    @property
    def history(self) -> list[Frame | None]:
        """num_history entries, oldest first, current last; None where the log has a gap or begins later."""
        frames = self.log.frames
        first = self.index
        while first > 0 and first > self.index - self.num_history + 1 and self._follows(first):
            first -= 1
        present = frames[first : self.index + 1]
        return [None] * (self.num_history - len(present)) + list(present)

    @property
    def future(self) -> list[Frame]:
        """Up to num_future frames that follow without a gap."""
        frames = self.log.frames
        last = self.index
        while last + 1 < len(frames) and last < self.index + self.num_future and self._follows(last + 1):
            last += 1
        return list(frames[self.index + 1 : last + 1])

    def _follows(self, index: int) -> bool:
        """Whether frame ``index`` comes after the one before it, and soon enough to share a window with it."""
        frames = self.log.frames
        gap_us = frames[index].timestamp_us - frames[index - 1].timestamp_us
        return 0 < gap_us <= self.max_gap_s * 1e6


@dataclass(frozen=True)
class DataPaths:
    """Where a dataset lies: ``OPENSCENE_DATA_ROOT``, ``NUPLAN_MAPS_ROOT`` and the split's directory name."""

    root: Path
    maps: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> DataPaths:
        """From the two variables that every NAVSIM tool reads; the maps default to ``<root>/maps``.

        Raises UserError naming the variable to set when one is missing or does not point to a folder.
        """
        if not environ.get("OPENSCENE_DATA_ROOT"):
            raise UserError("OPENSCENE_DATA_ROOT is not set; set it to the folder that holds navsim_logs/")
        root = Path(environ["OPENSCENE_DATA_ROOT"])
        if not (root / "navsim_logs").is_dir():
            raise UserError(f"OPENSCENE_DATA_ROOT={root} holds no folder navsim_logs/; set it to the data root")
        maps = Path(environ.get("NUPLAN_MAPS_ROOT") or root / "maps")
        if not maps.is_dir():
            raise UserError(f"{maps} is not a folder; set NUPLAN_MAPS_ROOT to the folder of nuplan-maps-v1.0.json")
        return cls(root, maps)

    def log_dir(self, split: str) -> Path:
        return self.root / "navsim_logs" / split

    def blob_dir(self, split: str) -> Path:
        return self.root / "sensor_blobs" / split
