"""Caches, windows, batches and the Lightning data module.

Frames that are missing are the matter of three files: ``window`` says which frames a window has, ``dataset`` which of
them are valid, ``collate`` what stands in the place of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wotempo.data.bev_cache import BevCache
from wotempo.data.build import BuildReport
from wotempo.data.collate import WindowCollator
from wotempo.data.dataset import WindowDataset
from wotempo.data.frame_cache import FrameCache, FrameRef
from wotempo.data.sampler import RunSampler
from wotempo.data.stack_cache import StackCache
from wotempo.data.target_cache import TargetCache
from wotempo.data.window import reach, require_history, window_frames, window_motion
from wotempo.needs import WindowNeeds

if TYPE_CHECKING:
    from wotempo.data.module import NavsimDataModule

__all__ = [
    "BevCache",
    "BuildReport",
    "FrameCache",
    "FrameRef",
    "NavsimDataModule",
    "RunSampler",
    "StackCache",
    "TargetCache",
    "WindowCollator",
    "WindowDataset",
    "WindowNeeds",
    "reach",
    "require_history",
    "window_frames",
    "window_motion",
]


def __getattr__(name: str) -> Any:
    # Lightning takes seconds to import; the processes that fill caches do without.
    if name == "NavsimDataModule":
        from wotempo.data.module import NavsimDataModule

        return NavsimDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
