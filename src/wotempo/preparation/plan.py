"""The plan of a run's data on disk: files of its dataset that are here or missing, and the bytes made from them.

Nothing is fetched or written. Where the logs are not here yet, published counts and sizes stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wotempo.config.schema import RunConfig
from wotempo.data.frame_cache import frame_dtype, frames_of
from wotempo.data.target_cache import scenes_by_log, target_dtype
from wotempo.datasets import SPLITS, Dataset, Progress, find_split
from wotempo.datasets.supply import Piece, Supply, frame_files, map_files
from wotempo.navsim import DataPaths, Frame, Scene
from wotempo.preparation.datamodule import feature_spec, target_spec
from wotempo.preparation.outlook import still_to_write
from wotempo.preparation.windows import window_needs, with_history

CACHES = "caches of frames and targets"
LABEL_BYTES = 3  # an anchor
NO_LOGS = "the logs are not here: counts and sizes are the published ones, of whole archives"
NO_FILTERS = "logs and frames are not counted without scene filters: counts and sizes are the published ones"


@dataclass(frozen=True)
class Plan:
    """``fetch``: what the dataset consists of; ``made``: (name, bytes still to write) of what is made from it here."""

    fetch: list[Piece]
    made: list[tuple[str, float]]
    notes: list[str]

    @property
    def complete(self) -> bool:
        """Whether every file of the dataset is here."""
        return all(piece.complete for piece in self.fetch)


def plan(config: RunConfig, dataset: Dataset, paths: DataPaths | None, filtered: bool, progress: Progress) -> Plan:
    """``paths``: the dataset's folders, None where they are not here yet. ``filtered``: the scene filters are here;
    without them only maps can be counted."""
    if paths is not None and filtered:
        return by_logs(config, dataset, paths, progress)
    supply = dataset.supply
    fetch = supply.whole(dataset.name, window_needs(config).frames > 1)
    if paths is not None:
        maps = supply.piece("maps", map_files(paths.maps), "maps")
        fetch = [maps if piece.name == maps.name else piece for piece in fetch]
    if not supply.tokens:
        return Plan(fetch, [labels(config, 0)], [])
    made = [projected_caches(config, supply), labels(config, supply.tokens["train"] + supply.tokens["val"])]
    return Plan(fetch, made, [NO_LOGS if paths is None else NO_FILTERS])


def by_logs(config: RunConfig, dataset: Dataset, paths: DataPaths, progress: Progress) -> Plan:
    """Counted file by file, split by split; a split whose logs are missing by what is published of it."""
    supply = dataset.supply
    fetch = [supply.piece("maps", map_files(paths.maps), "maps")]
    windows: dict[str, list[Scene]] = {}
    notes = []
    for split in SPLITS:
        folder = getattr(config.data, split).split
        published = supply.of_split(split, window_needs(config).frames > 1)
        if published and not list(paths.log_dir(folder).glob("*.pkl")):
            fetch += published
            continue
        scenes, coverage = find_split(dataset, paths, split, progress, keep=False)
        windows |= with_history(config, {split: scenes})
        if coverage.to_fetch:
            files = [paths.log_dir(folder) / f"{log}.pkl" for log in (*coverage.here, *coverage.to_fetch)]
            fetch.append(supply.piece(f"{split}: logs", files, "logs", split))
            notes.append(f"missing logs of {split}: {coverage.missing_logs}")
        if coverage.sentence:
            notes.append(coverage.sentence)
        now, past = (frame_files(paths, folder, needed_frames(config, windows[split], k)) for k in (True, False))
        fetch.append(supply.piece(f"{split}: current frames", now, "current", split))
        history = supply.piece(f"{split}: history frames", past, "history", split)
        fetch += [history] if history.needed else []
        if (reach := supply.sensor_reach.get(split)) and (far := beyond(config, reach.frames, windows[split])):
            notes.append(f"{far} frames of {split} {reach.beyond}; data.missing=mask leaves them out")
    used = {split: members for split, members in windows.items() if split != "test"}
    caches = (CACHES, float(still_to_write(config, paths, used)[0])) if used else projected_caches(config, supply)
    return Plan(fetch, [caches, labels(config, sum(map(len, used.values())))], notes)


def needed_frames(config: RunConfig, scenes: list[Scene], required: bool) -> Iterator[Frame]:
    """Distinct frames that windows need, log by log: current ones, which are required, or those that are history
    only."""
    needs = window_needs(config)
    for of_log in scenes_by_log(scenes).values():
        refs = frames_of(of_log, needs.frames, needs.stride, optional=True)
        yield from (ref.frame for ref in refs if ref.required == required)


def beyond(config: RunConfig, frames: int, scenes: list[Scene]) -> int:
    """How many frames that are history only lie in no scene's last ``frames`` frames."""
    needs, count = window_needs(config), 0
    for of_log in scenes_by_log(scenes).values():
        past = {ref.frame.token for ref in frames_of(of_log, needs.frames, needs.stride, True) if not ref.required}
        count += len(past - {ref.frame.token for ref in frames_of(of_log, frames, 1)})
    return count


def projected_caches(config: RunConfig, supply: Supply) -> tuple[str, float]:
    """What the caches will take, without the logs: from the size of a record and the published counts."""
    tokens = supply.tokens["train"] + supply.tokens["val"]
    frames = tokens * (supply.frames_per_token if window_needs(config).frames > 1 else 1.0)
    size = frames * frame_dtype(feature_spec(config.model)).itemsize
    size += tokens * target_dtype(target_spec(config.model)).itemsize
    return f"{CACHES}, about", float(size)


def labels(config: RunConfig, scenes: int) -> tuple[str, float]:
    """The line about the labels of so many scenes."""
    size = config.model.num_anchors * LABEL_BYTES if window_needs(config).labels else 0
    return "labels", float(scenes * size)
