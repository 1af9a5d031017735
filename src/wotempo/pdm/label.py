"""Labels for training: every anchor simulated and scored at every scene, written as one score table.

Work is cut into parts of at most 64 scenes of one log. Finished parts are kept beside the table until it is complete,
so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from wotempo.errors import UserError
from wotempo.maps import read_map
from wotempo.navsim.anchors import fingerprint
from wotempo.navsim.files import atomic_path
from wotempo.navsim.schema import NUM_FUTURE, Scene
from wotempo.navsim.scores import ScoreTable, write_score_table
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import SCORER_VERSION, score_trajectories

SCENES_PER_PART = 64
TABLE_FILES = frozenset({"flags.npy", "progress.npy", "index.json"})


def label_scenes(
    scenes: Sequence[Scene],
    maps_root: Path,
    anchors: np.ndarray,
    out_dir: Path,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> ScoreTable:
    """Score anchors (N, 8, 3) at every scene and write the table ``out_dir``; returns it opened.

    A table that is already there is returned as it is when anchors, scorer version and the set of tokens agree. When
    they do not, it is an error, or, with ``overwrite``, it is made anew. Progress is relative to the best anchor of
    the scene. workers: processes; 1 works in this one. progress: called with (scenes done, scenes in all).
    Raises UserError for scenes that cannot be scored, before any work where that can be seen from the logs.
    """
    anchors = np.asarray(anchors, np.float32)
    tokens = [scene.token for scene in scenes]
    _require_scorable(scenes)
    existing = _existing_table(out_dir, anchors, tokens, overwrite)
    if existing is not None:
        return existing

    parts = _cut(scenes)
    parts_dir = out_dir.with_name(f".{out_dir.name}.parts-{fingerprint(anchors)}-{SCORER_VERSION}")
    parts_dir.mkdir(parents=True, exist_ok=True)
    missing = [part for part in parts if _read_part(parts_dir, part) is None]
    done = len(scenes) - sum(len(part) for part in missing)
    report = progress or (lambda _done, _total: None)
    report(done, len(scenes))
    for count in _run(partial(_label_part, maps_root, anchors, parts_dir), missing, workers):
        done += count
        report(done, len(scenes))

    scores = np.concatenate([_read_part(parts_dir, part) for part in parts])
    write_score_table(out_dir, tokens, scores, fingerprint(anchors), SCORER_VERSION)
    shutil.rmtree(parts_dir)
    return ScoreTable.open(out_dir)


def _require_scorable(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise UserError("no scenes to label; check the scene filter and the split")
    if len({scene.token for scene in scenes}) < len(scenes):
        raise UserError("some scenes are listed twice; label each token once")
    short = [s.token for s in scenes if sum(f.boxes is not None for f in (s.current, *s.future)) <= NUM_FUTURE]
    lost = [s.token for s in scenes if not s.current.roadblock_ids]
    for unfit, lack, remedy in (
        (short, f"{NUM_FUTURE} future frames with boxes", f"num_future_frames: {NUM_FUTURE}"),
        (lost, "a route", "has_route: true"),
    ):
        if unfit:
            raise UserError(f"{len(unfit)} scenes lack {lack} (first: {unfit[0]}); filter with {remedy}")


def _existing_table(out_dir: Path, anchors: np.ndarray, tokens: list[str], overwrite: bool) -> ScoreTable | None:
    """The table that makes work unnecessary, or None when there is none."""
    if not out_dir.exists():
        return None
    if not out_dir.is_dir() or {path.name for path in out_dir.iterdir()} - TABLE_FILES:
        raise UserError(f"{out_dir}: is not a score table; name another folder for the labels")
    if overwrite:
        return None
    table = ScoreTable.open(out_dir)
    if table.anchors_fingerprint != fingerprint(anchors):
        differs = f"anchors {table.anchors_fingerprint}, not {fingerprint(anchors)}"
    elif table.scorer_version != SCORER_VERSION:
        differs = f"scorer {table.scorer_version}, not {SCORER_VERSION}"
    elif set(table.rows) != set(tokens):
        differs = f"{len(table)} scenes, not these {len(tokens)}"
    else:
        return table
    raise UserError(f"{out_dir}: holds labels of {differs}; delete it, or name another folder, or allow overwriting")


def _cut(scenes: Sequence[Scene]) -> list[list[Scene]]:
    """Parts of neighbouring scenes, each with a log of no more frames than it needs: they travel to processes."""
    parts = []
    for _, of_log in groupby(scenes, key=lambda scene: (scene.log.split, scene.log.name)):
        run = list(of_log)
        for begin in range(0, len(run), SCENES_PER_PART):
            part = run[begin : begin + SCENES_PER_PART]
            first = min(scene.index for scene in part)
            last = max(scene.index for scene in part) + NUM_FUTURE
            log = replace(part[0].log, frames=part[0].log.frames[first : last + 1])
            parts.append([replace(scene, log=log, index=scene.index - first) for scene in part])
    return parts


def _run(label: Callable[[list[Scene]], int], parts: list[list[Scene]], workers: int):
    """Yield the number of scenes of each part as it is finished."""
    if workers <= 1:
        yield from map(label, parts)
        return
    # spawn: forking a process that has started threads may hang
    with ProcessPoolExecutor(workers, get_context("spawn"), _limit_threads) as pool:
        try:
            for future in as_completed([pool.submit(label, part) for part in parts]):
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError("a labelling process was killed, most likely for memory; use fewer workers") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _limit_threads() -> None:
    """In a worker: its processor is its own, the others belong to other workers."""
    threadpool_limits(1)


def _label_part(maps_root: Path, anchors: np.ndarray, parts_dir: Path, part: list[Scene]) -> int:
    scores = np.empty((len(part), 5, len(anchors)), np.float16)
    for row, scene in enumerate(part):
        context = SceneContext.build(scene, read_map(maps_root, scene.current.map_location))
        result = score_trajectories(context, anchors)
        scores[row] = result.nc, result.dac, result.ep, result.ttc, result.comfort
    with atomic_path(_part_path(parts_dir, part)) as temporary, temporary.open("wb") as file:
        np.savez(file, tokens=[scene.token for scene in part], scores=scores)
    return len(part)


def _read_part(parts_dir: Path, part: list[Scene]) -> np.ndarray | None:
    """Scores (n, 5, N) float16 of a part that an earlier run finished, else None."""
    path = _part_path(parts_dir, part)
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as saved:
        return saved["scores"] if list(saved["tokens"]) == [scene.token for scene in part] else None


def _part_path(parts_dir: Path, part: list[Scene]) -> Path:
    return parts_dir / f"{part[0].token}.npz"
