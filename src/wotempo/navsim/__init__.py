"""The NAVSIM on-disk format: what a log holds, how it is read, written and checked. Knows nothing of learning."""

from wotempo.navsim.anchors import fingerprint, read_anchors, write_anchors
from wotempo.navsim.dataset import (
    SplitLogs,
    check_dataset,
    check_frames,
    log_paths,
    read_splits,
    sensor_paths,
    write_splits,
)
from wotempo.navsim.files import atomic_folder, atomic_path, read_bytes, write_bytes
from wotempo.navsim.images import read_image, write_image
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.logs import read_log
from wotempo.navsim.pcd import read_pcd, write_pcd
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import (
    AGENT_NAMES,
    CAMERAS,
    COMMANDS,
    FRAME_PERIOD_S,
    LOCATIONS,
    NUM_FUTURE,
    NUM_HISTORY,
    STATIC_NAMES,
    STITCHED_CAMERAS,
    Boxes,
    Camera,
    DataPaths,
    Frame,
    Log,
    Scene,
)
from wotempo.navsim.scores import METRICS, ScoreTable, write_score_table

__all__ = [
    "AGENT_NAMES",
    "CAMERAS",
    "COMMANDS",
    "FRAME_PERIOD_S",
    "LOCATIONS",
    "METRICS",
    "NUM_FUTURE",
    "NUM_HISTORY",
    "STATIC_NAMES",
    "STITCHED_CAMERAS",
    "Boxes",
    "Camera",
    "DataPaths",
    "Frame",
    "Log",
    "Scene",
    "SceneFilter",
    "ScoreTable",
    "SplitLogs",
    "atomic_folder",
    "atomic_path",
    "check_dataset",
    "check_frames",
    "find_scenes",
    "fingerprint",
    "log_paths",
    "read_anchors",
    "read_bytes",
    "read_image",
    "read_log",
    "read_pcd",
    "read_splits",
    "sensor_paths",
    "write_anchors",
    "write_bytes",
    "write_image",
    "write_log",
    "write_pcd",
    "write_score_table",
    "write_splits",
]
