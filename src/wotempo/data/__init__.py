"""Caches, windows, batches and the Lightning data module."""

from wotempo.data.build import BuildReport
from wotempo.data.collate import WindowCollator
from wotempo.data.dataset import WindowDataset
from wotempo.data.frame_cache import FrameCache, FrameRef
from wotempo.data.module import NavsimDataModule
from wotempo.data.sampler import RunSampler
from wotempo.data.target_cache import TargetCache
from wotempo.data.window import window_frames, window_motion

__all__ = [
    "BuildReport",
    "FrameCache",
    "FrameRef",
    "NavsimDataModule",
    "RunSampler",
    "TargetCache",
    "WindowCollator",
    "WindowDataset",
    "window_frames",
    "window_motion",
]
