"""Caches, windows, batches and the Lightning data module.

Frames that are missing are the matter of three files: ``window`` says which frames a window has, ``dataset`` which of
them are valid, ``collate`` what stands in the place of the others.
"""

from __future__ import annotations

from wotempo.data.collate import WindowCollator
from wotempo.data.frame_cache import FrameCache, FrameRef
from wotempo.data.window import reach, require_history, window_frames

__all__ = [
    "FrameCache",
    "FrameRef",
    "WindowCollator",
    "reach",
    "require_history",
    "window_frames",
]
