"""The caches of a run's windows, and how they are filled: what is there and good stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wotempo.data.build import BuildReport, Progress, building
from wotempo.data.frame_cache import FrameCache, FrameRef, count_frames, frames_of
from wotempo.data.stack_cache import StackCache
from wotempo.data.store import RecordStore
from wotempo.data.target_cache import TargetCache, scene_ref, scenes_by_log
from wotempo.data.whole import is_whole, made_from, write_note
from wotempo.navsim.schema import Scene
from wotempo.needs import WindowNeeds

Splits = Mapping[str, Sequence[Scene]]
Failed = Mapping[tuple[str, str], str]  # group and token of a frame that could not be cached -> why


@dataclass(frozen=True)
class Caches:
    """Those of windows of ``needs``, whose scenes in the splits ``supervised`` have targets. ``mask_missing``: history
    frames may lack their sensor files; ``skip_missing``: so may all, and cost their scenes."""

    frames: FrameCache
    targets: TargetCache
    stacks: StackCache | None
    needs: WindowNeeds
    supervised: tuple[str, ...]
    mask_missing: bool
    skip_missing: bool

    @property
    def root(self) -> Path:
        return self.frames.store.root.parent

    @property
    def stores(self) -> list[RecordStore]:
        caches = (self.frames, self.targets, self.stacks)
        return [cache.store for cache in caches if cache is not None]

    def frames_of(self, scenes: Sequence[Scene]) -> list[FrameRef]:
        """Of scenes of one log; history is not required where that which is missing is masked."""
        return frames_of(scenes, self.needs.frames, self.needs.stride, self.mask_missing)

    def fill(
        self,
        scenes: Splits,
        leave_out: Callable[[Failed], Splits],
        workers: int = 1,
        progress: Progress | None = None,
        recheck: bool = False,
    ) -> dict[str, BuildReport]:
        """Make everything that the scenes need present -> what was built and re-used, by cache.

        ``leave_out`` is told of frames that could not be cached, and returns the scenes without those that need them.
        Once all of it was found there, a note says so, and the files that it was made from are not looked at again
        (``recheck`` does), as long as scenes, logs, maps and parameters stay.
        """
        how = (leave_out, workers, progress)
        counts, note = self._counts(scenes), self.note(scenes)
        known = {kind: BuildReport(reused=count) for kind, count in counts.items()}
        if note is None:
            return self._build(scenes, counts, *how)
        if not recheck and is_whole(note):
            return known
        with building(self.root, f"the cache {self.root}"):
            if not recheck and is_whole(note):
                return known
            reports = self._build(scenes, counts, *how)
            if all(of.built + of.reused == counts[kind] for kind, of in reports.items()):
                write_note(note, self.stores, _by_log(scenes))
            return reports

    def fill_share(
        self,
        scenes: Splits,
        leave_out: Callable[[Failed], Splits],
        workers: int = 1,
        progress: Progress | None = None,
    ) -> dict[str, BuildReport]:
        """``fill`` in one of several processes that have logs of their own: none waits for another, and no note is
        written."""
        return self._build(scenes, self._counts(scenes), leave_out, workers, progress)

    def note(self, scenes: Splits) -> Path | None:
        """Where it is kept that all records of the scenes are there; None where nothing can be told of their logs."""
        needs = [self.needs.frames, self.needs.stride, self.mask_missing, self.skip_missing, sorted(self.supervised)]
        key = made_from(self.frames.paths, scenes, self.stores, needs)
        return None if key is None else self.root / "whole" / f"{key}.json"

    def lost(self, scenes: Sequence[Scene], failed: Failed) -> dict[str, str]:
        """Token -> reason of each of the scenes whose window needs a frame that could not be cached."""
        reasons = dict[str, str]()
        for scene in scenes:
            needed = [ref.record for ref in self.frames_of([scene]) if ref.required]
            if bad := [record for record in needed if record in failed]:
                reasons[scene.token] = failed[bad[0]]
        return reasons

    def _build(
        self,
        scenes: Splits,
        counts: Mapping[str, int],
        leave_out: Callable[[Failed], Splits],
        workers: int,
        progress: Progress | None,
    ) -> dict[str, BuildReport]:
        how = (workers, progress)
        refs = (self.frames_of(members) for members in _by_log(scenes).values())
        reports = {
            "frames": self.frames.build_logs(refs, counts["frames"], *how, self.skip_missing, not self.mask_missing)
        }
        if reports["frames"].failed:
            scenes = leave_out(reports["frames"].failed)
        reports["targets"] = self.targets.build(self._with_targets(scenes), *how)
        if self.stacks is not None:
            reports["stacks"] = self.stacks.build((s for members in scenes.values() for s in members), *how)
        return reports

    def _with_targets(self, scenes: Splits) -> list[Scene]:
        return [scene for split in self.supervised for scene in scenes.get(split, ())]

    def _counts(self, scenes: Splits) -> dict[str, int]:
        """Records that the scenes need, by cache."""
        needs, logs = self.needs, _by_log(scenes)
        counts = {
            "frames": sum(count_frames(members, needs.frames, needs.stride) for members in logs.values()),
            "targets": len({scene_ref(scene) for scene in self._with_targets(scenes)}),
        }
        return counts if self.stacks is None else {**counts, "stacks": sum(map(len, logs.values()))}


def _by_log(scenes: Splits) -> dict[str, list[Scene]]:
    return scenes_by_log(scene for members in scenes.values() for scene in members)
