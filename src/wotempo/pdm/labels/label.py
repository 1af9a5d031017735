"""Labels for training: every anchor simulated and scored at every scene, written as one score table.

Finished parts (`label_parts`) are kept beside the table until it is complete, so a run that was killed goes on where it
stopped, and several runs (shards) share the work; the one that finds all parts finished joins them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.anchors import fingerprint
from wotempo.navsim.files import may_write
from wotempo.navsim.lock import locked
from wotempo.navsim.scenes import NO_BOXES, without_boxes
from wotempo.navsim.schema import NUM_FUTURE, Scene
from wotempo.navsim.scores import ScoreTable, write_packed_table
from wotempo.navsim.share import Share
from wotempo.pdm.labels.engines import Engine
from wotempo.pdm.labels.label_parts import SCENES_PER_PART, cut, label_part, made_of_scenes, read_part
from wotempo.pdm.score import SCORER_VERSION

TABLE_FILES = frozenset({"flags.npy", "progress.npy", "index.json"})
PACKED = ("flags", "progress")
Progress = Callable[[int, int], None]  # scenes done, scenes in all


def label_shard(
    scenes: Sequence[Scene],
    maps_root: Path,
    anchors: np.ndarray,
    out_dir: Path,
    engine: Engine,
    shard: int = 0,
    shards: int = 1,
    progress: Progress | None = None,
    overwrite: bool = False,
    wait: bool = False,
    scenes_per_part: int = SCENES_PER_PART,
) -> ScoreTable | None:
    """Score anchors (N, 8, 3) at the scenes of every ``shards``-th log; the shard that finds all parts finished writes
    the table ``out_dir`` and returns it opened, the others return None.

    A table that is already there is returned as it is when anchors, scorer version and the set of tokens agree. When
    they do not, it is an error, or, with ``overwrite``, it is removed and made anew. EP is relative to the best anchor
    of the scene. A scene whose route or map does not allow a score has no row and is listed in ``ScoreTable.invalid``.
    wait: for another run of the same shard, instead of an error. The bytes of the table depend on scenes, maps and
    anchors only. Raises UserError, before any work, for scenes that the scene filter should have left out and for
    locations without a map.
    """
    anchors = np.asarray(anchors, np.float32)
    if not np.isfinite(anchors).all():
        raise UserError("the anchors hold values that are not finite; make the anchors again")
    tokens = [scene.token for scene in scenes]
    if overwrite and shards > 1:
        raise UserError(f"shards cannot overwrite what other shards write: delete {out_dir} first")
    parts_dir = _parts_dir(out_dir, anchors)
    name = f"shard-{shard}-of-{shards}." if shards > 1 else ""
    made_of = made_of_scenes(scenes, maps_root)
    if not overwrite and not may_write(out_dir.parent):  # another user's: it is read, or an error below
        existing = _existing_table(out_dir, anchors, tokens, made_of)
        if existing is not None:
            return existing
    with locked(out_dir.with_name(f".{out_dir.name}.{name}lock"), str(out_dir), wait):
        if overwrite:
            _discard(out_dir, parts_dir)
        elif (existing := _existing_table(out_dir, anchors, tokens, made_of)) is not None:
            with _join_lock(out_dir):
                _clean_up(out_dir, parts_dir)
            return existing
        _require_scorable(scenes)
        parts = cut(scenes, scenes_per_part)
        mine = Share(shard, shards).of(parts)
        parts_dir.mkdir(parents=True, exist_ok=True)
        missing = [part for part in mine if read_part(parts_dir, part, len(anchors), made_of) is None]
        total = sum(map(len, mine))
        done = total - sum(map(len, missing))
        report = progress or (lambda _done, _total: None)
        report(done, total)
        for count in engine.run(partial(label_part, maps_root, anchors, parts_dir), missing):
            done += count
            report(done, total)
        return _join(out_dir, parts_dir, anchors, tokens, parts, made_of)


def invalid_of_shard(
    scenes: Sequence[Scene], anchors: np.ndarray, out_dir: Path, shard: int, shards: int
) -> dict[str, str]:
    """Token -> reason of the scenes without labels among those that ``label_shard`` scored for this shard; of all,
    once there is a table."""
    parts = Share(shard, shards).of(cut(scenes))
    saved = [(part, read_part(_parts_dir(out_dir, anchors), part, len(anchors), {})) for part in parts]
    if any(scores is None for _, scores in saved):  # the last shard wrote the table meanwhile, and removed its parts
        return ScoreTable.open(out_dir).invalid
    reasons = {s.token: r for part, found in saved if found for s, r in zip(part, found.reasons, strict=True)}
    return {token: reason for token, reason in reasons.items() if reason}


def _parts_dir(out_dir: Path, anchors: np.ndarray) -> Path:
    return out_dir.with_name(f".{out_dir.name}.parts-{fingerprint(anchors)}-{SCORER_VERSION}")


def _require_scorable(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise UserError("no scenes to label; check the scene filter and the split")
    if len({scene.token for scene in scenes}) < len(scenes):
        raise UserError("some scenes are listed twice; label each token once")
    if without_boxes(scenes):
        raise UserError(f"{NO_BOXES}: {len(scenes)} scenes cannot be scored (first: {scenes[0].token})")
    # A frame without boxes among others that have some costs its scenes alone: they become invalid.
    short = [s.token for s in scenes if len(s.future) < NUM_FUTURE]
    lost = [s.token for s in scenes if not s.current.roadblock_ids]
    for unfit, lack, remedy in (
        (short, f"{NUM_FUTURE} future frames", f"num_future_frames: {NUM_FUTURE}"),
        (lost, "a route", "has_route: true"),
    ):
        if unfit:
            raise UserError(f"{len(unfit)} scenes lack {lack} (first: {unfit[0]}); filter with {remedy}")


def _require_table_folder(out_dir: Path) -> None:
    if not out_dir.is_dir() or {path.name for path in out_dir.iterdir()} - TABLE_FILES:
        raise UserError(f"{out_dir}: is not a score table; name another folder for the labels")


def _existing_table(
    out_dir: Path, anchors: np.ndarray, tokens: list[str], made_of: Mapping[str, str]
) -> ScoreTable | None:
    """The table that makes work unnecessary, or None when there is none."""
    if not out_dir.exists():
        return None
    _require_table_folder(out_dir)
    table = ScoreTable.open(out_dir)
    if table.anchors_fingerprint != fingerprint(anchors):
        differs = f"anchors {table.anchors_fingerprint}, not {fingerprint(anchors)}"
    elif table.scorer_version != SCORER_VERSION:
        differs = f"scorer {table.scorer_version}, not {SCORER_VERSION}"
    elif table.rows.keys() | table.invalid.keys() != set(tokens):
        differs = f"{len(table.rows) + len(table.invalid)} scenes, not these {len(tokens)}"
    elif changed := table.changed(made_of):
        differs = f"{len(changed)} of {len(table.made_of)} logs and maps whose files changed since, first {changed[0]}"
    else:
        return table
    way_out = "delete it, name another folder, or allow overwriting (`make labels ARGS=overwrite=true`)"
    raise UserError(f"{out_dir}: holds labels of {differs}; {way_out}")


def _discard(out_dir: Path, parts_dir: Path) -> None:
    """Remove a table. Parts beside a finished table are older than the wish to make it anew, so they go first;
    without a table they are those of an interrupted run, and stay."""
    if out_dir.exists():
        _require_table_folder(out_dir)
        shutil.rmtree(parts_dir, ignore_errors=True)
        old = out_dir.with_name(f".{out_dir.name}.{os.getpid()}.old")
        os.replace(out_dir, old)
        shutil.rmtree(old)


def _join(
    out_dir: Path,
    parts_dir: Path,
    anchors: np.ndarray,
    tokens: list[str],
    parts: list[list[Scene]],
    made_of: Mapping[str, str],
) -> ScoreTable | None:
    """Write the table when all parts are there; else None. Another shard may have written it already."""
    with _join_lock(out_dir):
        if (table := _existing_table(out_dir, anchors, tokens, made_of)) is None:
            saved = [read_part(parts_dir, part, len(anchors), made_of) for part in parts]
            found = [part for part in saved if part is not None]
            if len(found) < len(parts):
                return None
            reasons = dict(zip(tokens, (reason for part in found for reason in part.reasons), strict=True))
            invalid = {token: reason for token, reason in reasons.items() if reason}
            if len(invalid) == len(tokens):
                raise UserError(f"none of the {len(tokens)} scenes can be scored; the first: {invalid[tokens[0]]}")
            valid = np.array([not reason for reason in reasons.values()])
            flags, progress = (np.concatenate([getattr(p, name) for p in found])[valid] for name in PACKED)
            rows = [token for token in tokens if token not in invalid]
            write_packed_table(out_dir, rows, flags, progress, fingerprint(anchors), SCORER_VERSION, invalid, made_of)
            table = ScoreTable.open(out_dir)
        _clean_up(out_dir, parts_dir)
        return table


def _join_lock(out_dir: Path) -> AbstractContextManager[None]:
    return locked(out_dir.with_name(f".{out_dir.name}.join.lock"), str(out_dir), wait=True)


def _clean_up(out_dir: Path, parts_dir: Path) -> None:
    """Remove what a finished table was made of, and what runs left that were killed while they wrote or removed it."""
    shutil.rmtree(parts_dir, ignore_errors=True)
    for path in out_dir.parent.iterdir():
        if re.fullmatch(rf"\.{re.escape(out_dir.name)}\.\d+\.(tmp|old)", path.name):
            shutil.rmtree(path, ignore_errors=True)
