"""The NAVSIM on-disk format: what a log holds, how it is read, written and checked. Knows nothing of learning."""

from wotempo.navsim.anchors import fingerprint, read_anchors, write_anchors
from wotempo.navsim.dataset import log_paths, read_splits, sensor_paths
from wotempo.navsim.files import atomic_path, write_bytes
from wotempo.navsim.logs import read_log
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import FRAME_PERIOD_S, NUM_HISTORY, STITCHED_CAMERAS, DataPaths, Frame, Log, Scene
from wotempo.navsim.scores import ScoreTable

__all__ = [
    "FRAME_PERIOD_S",
    "NUM_HISTORY",
    "STITCHED_CAMERAS",
    "DataPaths",
    "Frame",
    "Log",
    "Scene",
    "SceneFilter",
    "ScoreTable",
    "atomic_path",
    "find_scenes",
    "fingerprint",
    "log_paths",
    "read_anchors",
    "read_log",
    "read_splits",
    "sensor_paths",
    "write_anchors",
    "write_bytes",
]
