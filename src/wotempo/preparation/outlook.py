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
    absent = [ref for ref, here in zip(refs.values(), frames.has(list(refs.values())), strict=True) if not here]
    groups = {scene_ref(scene).group for scene in members}
    known = {group: targets.store.index(group).entries for group in groups}
    undrawn = [ref for scene in members if (ref := scene_ref(scene)).token not in known[ref.group]]
    size = len(absent) * frames.store.dtype.itemsize + len(undrawn) * targets.store.dtype.itemsize
    files = (len(absent) + len(undrawn)) // PART_RECORDS + 2 * len(groups)
    return size, files if size else 0
