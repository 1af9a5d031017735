"""The outlook on a run's caches: what is still to be written of them. Makes nothing."""

from __future__ import annotations

from wotempo.config.schema import RunConfig
from wotempo.data.build import PART_RECORDS
from wotempo.data.frame_cache import FrameCache, window_refs
from wotempo.data.target_cache import TargetCache, scene_ref
from wotempo.navsim import DataPaths, Scene
from wotempo.preparation.datamodule import cache_root, feature_spec, target_spec
from wotempo.preparation.windows import window_needs


def still_to_write(config: RunConfig, paths: DataPaths, scenes: dict[str, list[Scene]]) -> tuple[int, int]:
    """(bytes, files) that the caches of these scenes lack, about; labels are small beside them."""
    needs = window_needs(config)
    root = cache_root(config.data, config.workspace, paths)
    frames = FrameCache(root, paths, feature_spec(config.model))
    targets = TargetCache(root, paths, target_spec(config.model))
    members = [scene for group in scenes.values() for scene in group]
    windows = [window_refs(scene, needs.frames, needs.stride) for scene in members]
    refs = {ref.record: ref for window in windows for ref in window if ref is not None}
    drawn = [scene_ref(scene) for scene in members]
    absent, undrawn = (int((~there).sum()) for there in (frames.has(list(refs.values())), targets.store.has(drawn)))
    size = absent * frames.store.dtype.itemsize + undrawn * targets.store.dtype.itemsize
    files = (absent + undrawn) // PART_RECORDS + 2 * len({ref.group for ref in drawn})
    return size, files if size else 0
