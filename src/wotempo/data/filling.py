"""The caches of a run's windows, and how they are filled: what is there and good stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wotempo.data.build import BuildReport, LogWork, Progress, building
from wotempo.data.frame_cache import FrameCache, FrameRef, count_frames, frames_of, windows_of
from wotempo.data.identity import state_in
from wotempo.data.stack_cache import StackCache
from wotempo.data.store import RecordStore
from wotempo.data.target_cache import TargetCache, scene_ref, scenes_by_log
from wotempo.data.whole import Lacking, made_from, whole_but_for, write_note
from wotempo.data.window import fallen
from wotempo.navsim.files import may_write
from wotempo.navsim.schema import Scene
from wotempo.needs import WindowNeeds

Splits = Mapping[str, Sequence[Scene]]
MODES = ("error", "drop", "mask")
"""Values of ``data.missing``: frames that cannot be had are refused; ``drop`` leaves out every scene whose window needs
one; ``mask`` leaves out those whose current frame is one, and masks the others."""


@dataclass(frozen=True)
class Caches:
    """Those of windows of ``needs``, whose scenes in the splits ``supervised`` have targets. ``missing``: one of
    MODES."""

    frames: FrameCache
    targets: TargetCache
    stacks: StackCache | None
    needs: WindowNeeds
    supervised: tuple[str, ...]
    missing: str

    @property
    def root(self) -> Path:
        return self.frames.store.root.parent

    @property
    def stores(self) -> list[RecordStore]:
        caches = (self.frames, self.targets, self.stacks)
        return [cache.store for cache in caches if cache is not None]

    def frames_of(self, scenes: Sequence[Scene]) -> list[FrameRef]:
        """Of scenes of one log; history is not required where that which is missing is masked."""
        return frames_of(scenes, self.needs.frames, self.needs.stride, self.missing == "mask")

    def fill(
        self,
        scenes: Splits,
        leave_out: Callable[[Lacking], Splits],
        workers: int = 1,
        progress: Progress | None = None,
        recheck: bool = False,
    ) -> dict[str, BuildReport]:
        """Make everything that the scenes need present -> what was built and re-used, by cache.

        ``leave_out`` is told what cannot be had, and returns the scenes that are left. Once the rest was found there, a
        note says so. The files that it was made from are not looked at again (``recheck`` does), as long as scenes,
        logs, maps and parameters stay, and nothing comes into a folder in which a file was absent.
        """
        note, root = self.note(scenes), self.frames.paths.root
        if note is None:
            return self._build(scenes, None, leave_out, workers, progress)
        if not recheck and (lacking := whole_but_for(note, root)) is not None:
            return self._known(leave_out(lacking))
        with building(self.root, f"the cache {self.root}"):
            if not recheck and (lacking := whole_but_for(note, root)) is not None:
                return self._known(leave_out(lacking))
            return self._build(scenes, note, leave_out, workers, progress)

    def _known(self, scenes: Splits) -> dict[str, BuildReport]:
        return {kind: BuildReport(reused=count) for kind, count in self._counts(scenes).items()}

    def fill_share(
        self,
        scenes: Splits,
        workers: int = 1,
        progress: Progress | None = None,
    ) -> dict[str, BuildReport]:
        """``fill`` in one of several processes that have logs of their own: none waits for another, no note is written,
        and what cannot be had is passed over: the start that looks at the whole says what is left out."""
        return self._build(scenes, None, lambda lacking: _left(scenes, lacking), workers, progress)

    def note(self, scenes: Splits) -> Path | None:
        """Where it is kept that all records of the scenes are there; None where nothing can be told of their logs."""
        how = [self.missing == "mask", self.missing != "error"]
        needs = [self.needs.frames, self.needs.stride, *how, sorted(self.supervised)]
        key = made_from(self.frames.paths, scenes, self.stores, needs)
        return None if key is None else self.root / "whole" / f"{key}.json"

    def _lacking(self, scenes: Splits, report: BuildReport) -> Lacking:
        """What it means for the scenes that frames could not be made."""
        failed = dict[str, dict[str, str]]()
        for (group, token), why in report.failed.items():
            failed.setdefault(group, {})[token] = why
        out, masked = dict[str, dict[str, list[str]]](), dict[str, int]()
        for split, members in scenes.items() if failed else ():
            for group, of_log in scenes_by_log(members).items():
                if group not in failed:
                    continue
                reasons = [failed[group].get(ref.frame.token) for ref in self.frames_of(of_log)]
                windows = windows_of(of_log, self.needs.frames, self.needs.stride)
                lost = np.array([why is not None for why in reasons])
                lacks, gone = np.append(lost, False)[windows], fallen(windows, lost, self.missing == "mask")
                masked[split] = masked.get(split, 0) + int((lacks.any(1) & ~gone).sum())
                for place in np.flatnonzero(gone):
                    first = windows[place, -1 if lacks[place, -1] else int(lacks[place].argmax())]
                    out.setdefault(split, {}).setdefault(str(reasons[first]), []).append(of_log[place].token)
        root = self.frames.paths.root
        watched = {path.relative_to(root).as_posix(): state_in(path) for path in sorted(report.watched)}
        return Lacking(out, masked, watched)

    def _build(
        self,
        scenes: Splits,
        note: Path | None,
        leave_out: Callable[[Lacking], Splits],
        workers: int,
        progress: Progress | None,
    ) -> dict[str, BuildReport]:
        how, skip = (workers, progress), self.missing != "error"
        works = (self._work(group, members) for group, members in _by_log(scenes).items())
        reports = {"frames": self.frames.build_logs(works, self._counts(scenes)["frames"], *how, skip)}
        lacking = self._lacking(scenes, reports["frames"])
        scenes = leave_out(lacking)
        reports["targets"] = self.targets.build(self._with_targets(scenes), *how)
        if self.stacks is not None:
            lost: dict[str, set[str]] = {}
            for group, token in reports["frames"].failed:
                lost.setdefault(group, set()).add(token)
            reports["stacks"] = self.stacks.build((s for members in scenes.values() for s in members), *how, lost)
        if note is not None and may_write(note.parent):
            write_note(note, self.stores, _by_log(scenes), lacking)
        return reports

    def _work(self, group: str, scenes: Sequence[Scene]) -> LogWork:
        windows = None if self.missing == "error" else windows_of(scenes, self.needs.frames, self.needs.stride)
        return LogWork(group, self.frames_of(scenes), windows, self.missing == "mask")

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


def _left(scenes: Splits, lacking: Lacking) -> Splits:
    gone = {split: lacking.gone(split) for split in scenes}
    return {split: [s for s in members if s.token not in gone[split]] for split, members in scenes.items()}


def _by_log(scenes: Splits) -> dict[str, list[Scene]]:
    return scenes_by_log(scene for members in scenes.values() for scene in members)
