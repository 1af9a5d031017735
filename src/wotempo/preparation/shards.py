"""Preparation by several jobs, each of which makes the labels and caches of its own logs. What needs all logs, their
index and the anchors, is made by the first job that comes; the last one to finish looks at the whole.

<cache>/shards/<hash>/<shard>-of-<shards>     an empty file: this share of these windows is made
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wotempo.config.missing import ERROR
from wotempo.config.schema import RunConfig
from wotempo.data.filling import Caches
from wotempo.navsim import Scene
from wotempo.navsim.files import write_bytes
from wotempo.navsim.share import Share
from wotempo.pdm.labels.label import invalid_of_shard
from wotempo.preparation.labels import labels_of, place_of_labels, without_invalid
from wotempo.preparation.limits import check_limits
from wotempo.preparation.prepare import Begun, Prepared, begin, build_data, prepare_data
from wotempo.preparation.progress import PreparationProgress
from wotempo.preparation.windows import check_sensors, window_needs


@dataclass
class PrepareConfig(RunConfig):
    """The run that is prepared for, and this job's share of the work."""

    shard: int | None
    shards: int


def prepare_share(config: RunConfig, share: Share) -> Prepared | None:
    """Make the share's labels and caches. The share that finds all others finished returns what ``prepare_data`` does,
    the others None."""
    check_limits(config)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        begun = begin(config, progress)
        caches = build_data(config, begun.with_labels(None, begun.windows), progress).caches
        done = _notes(caches, begun)
        logs = share.logs(scene for members in begun.scenes.values() for scene in members)
        windows = {split: _within(logs, members) for split, members in begun.windows.items()}
        if window_needs(config).labels and begun.anchors is not None:
            given = (begun.dataset, begun.paths, begun.labelled, begun.anchors)
            if not (folder := place_of_labels(*given)).exists():
                looked_at = windows if config.data.missing == ERROR else begun.windows  # there one scene must be whole
                check_sensors(config, begun.paths, looked_at, progress)
            labels_of(*given, progress, share)
            if config.data.labels is None:
                windows = without_invalid(windows, invalid_of_shard(*given[2:], folder, *share))
        how = (config.data.prepare_workers, progress)
        caches.fill_share(windows, *how)
    write_bytes(done / f"{share.shard}-of-{share.shards}", b"")
    if not all((done / f"{shard}-of-{share.shards}").exists() for shard in range(share.shards)):
        return None
    prepared, _ = prepare_data(config)
    shutil.rmtree(done, ignore_errors=True)
    with suppress(OSError):  # notes of other windows are there, or another share removed it
        done.parent.rmdir()
    return prepared


def _notes(caches: Caches, begun: Begun) -> Path:
    """The folder of what shares tell of these windows."""
    note = caches.note(begun.windows)
    assert note is not None  # all logs come from files
    return caches.root / "shards" / note.stem


def _within(logs: frozenset[tuple[str, str]], scenes: list[Scene]) -> list[Scene]:
    return [scene for scene in scenes if (scene.log.split, scene.log.name) in logs]
