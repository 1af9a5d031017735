"""The outlook on a run's caches: what is still to be written of them. Makes nothing."""

from __future__ import annotations

from wotempo.config.schema import RunConfig
from wotempo.data.build import PART_RECORDS
from wotempo.data.frame_cache import FrameCache, frames_of
from wotempo.data.target_cache import TargetCache, scene_ref, scenes_by_log
from wotempo.navsim import DataPaths, Scene
from wotempo.preparation.datamodule import cache_root, feature_spec, target_spec
from wotempo.preparation.windows import window_needs


def still_to_write(config: RunConfig, paths: DataPaths, scenes: dict[str, list[Scene]]) -> tuple[int, int]:
    """(bytes, files) that the caches of these scenes lack, about; labels are small beside them."""
    needs = window_needs(config)
    root = cache_root(config.data, config.workspace, paths)
    frames = FrameCache(root, paths, feature_spec(config.model))
    targets = TargetCache(root, paths, target_spec(config.model))
    logs = scenes_by_log(scene for group in scenes.values() for scene in group)
    absent = undrawn = 0
    for members in logs.values():
        absent += int((~frames.has(frames_of(members, needs.frames, needs.stride))).sum())
        undrawn += int((~targets.store.has([scene_ref(scene) for scene in members])).sum())
    size = absent * frames.store.dtype.itemsize + undrawn * targets.store.dtype.itemsize
    files = (absent + undrawn) // PART_RECORDS + 2 * len(logs)
    return size, files if size else 0
