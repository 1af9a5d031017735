"""Findings about the dataset that a run would read, and about what is made from it: sensors, maps, labels, disk."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from wotempo.config.schema import RunConfig
from wotempo.data import window_frames
from wotempo.datasets import SPLITS, Coverage, Dataset, Progress, dataset_of, find_split
from wotempo.datasets.scenes import MAPLESS, unreadable_maps
from wotempo.datasets.supply import Part
from wotempo.doctor.coverage import check_maps
from wotempo.doctor.finding import Finding, examined
from wotempo.doctor.labels import check_anchors, check_labels
from wotempo.doctor.sensors import check_sensors, count_sensors
from wotempo.doctor.storage import check_disk
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Scene, read_anchors
from wotempo.navsim.scenes import NOWHERE
from wotempo.preparation.anchors import anchors_file
from wotempo.preparation.labels import labels_folder
from wotempo.preparation.outlook import still_to_write
from wotempo.preparation.windows import window_needs, with_history


def dataset_findings(config: RunConfig, progress: Progress) -> Iterator[Finding]:
    """What is on disk of the dataset and of what is made from it; nothing is made. UserError for an unknown
    ``data.kind``."""
    workspace = Path(config.workspace)
    dataset = dataset_of(config.data, config.workspace)
    try:
        paths = dataset.here()
    except UserError as error:
        yield Finding("dataset", "fail", str(error), dataset.supply.how)
        return
    if paths is None:
        fix = f"{dataset.supply.how} (some minutes)"
        yield Finding("dataset", "warn", f"{dataset.name} is not generated yet in {workspace}", fix)
        yield check_disk("disk", workspace, 0, 0)
        return
    yield Finding("dataset", "ok", f"{config.data.kind} in {paths.root}")
    all_scenes: dict[str, list[Scene]] = {}
    windows: dict[str, list[Scene]] = {}
    for split in SPLITS:
        try:
            all_scenes[split], coverage = find_split(dataset, paths, split, progress, keep=False)
            windows |= with_history(config, {split: all_scenes[split]})
        except UserError as error:  # the test split is wanted for the scores only
            yield Finding(f"scenes {split}", "warn" if split == "test" else "fail", str(error))
            continue
        if coverage.sentence:
            yield Finding(f"scenes {split}", "warn", coverage.sentence, _lost(dataset, split, coverage))
        yield examined(f"sensors {split}", partial(_sensors, config, dataset, paths, split, windows[split], progress))
    every = [scene for members in windows.values() for scene in members]
    if every:
        yield examined("maps", lambda: _maps(dataset, paths, every))
    if {"train", "val"} <= windows.keys():
        yield from _labelled(config, dataset, paths, all_scenes)
    cache = Path(config.data.cache or workspace / "cache")
    used = {split: members for split, members in windows.items() if split != "test"}
    yield examined("disk", lambda: check_disk("disk", cache, *still_to_write(config, paths, used)))


def _maps(dataset: Dataset, paths: DataPaths, scenes: list[Scene]) -> Finding:
    if lost := unreadable_maps(paths, scenes):
        tokens = sum(scene.current.map_location in lost for scene in scenes)
        return Finding("maps", "fail", "; ".join(lost.values()), _brings(dataset, "train", "maps", tokens))
    return check_maps(paths, [scene.current for scene in scenes])


def _brings(dataset: Dataset, split: str, part: Part, tokens: int) -> str:
    return dataset.supply.brings(split, {frozenset({part}): tokens}) if tokens else ""


def _lost(dataset: Dataset, split: str, coverage: Coverage) -> str:
    """What would bring the tokens that are not here."""
    fixes = []
    if coverage.to_fetch:
        brings = _brings(dataset, split, "logs", coverage.lost.get(NOWHERE, 0))
        fixes.append(f"fetch the missing logs: {coverage.missing_logs}{f' ({brings})' if brings else ''}")
    if coverage.unread:
        fixes.append(f"fetch these logs again: {', '.join(coverage.unread)}")
    mapless = sum(count for reason, count in coverage.lost.items() if reason.startswith(MAPLESS))
    fixes += filter(None, [_brings(dataset, split, "maps", mapless)])
    return "; ".join(fixes) or "nothing, if that is known"


def _sensors(
    config: RunConfig, dataset: Dataset, paths: DataPaths, split: str, scenes: list[Scene], progress: Progress
) -> Finding:
    needs = window_needs(config)
    windows = (window_frames(scene, needs.frames, needs.stride) for scene in scenes)
    folder = getattr(config.data, split).split
    supply, current = dataset.supply, {scene.token for scene in scenes}
    reach = supply.sensor_reach.get(split)
    further = (progress, current, None if reach is None else 1 + (reach.frames - 1) // needs.stride)
    count = count_sensors(paths, folder, windows, needs.frames, len(scenes), *further)
    return check_sensors(split, count, config.data.missing, supply)


def _labelled(
    config: RunConfig, dataset: Dataset, paths: DataPaths, scenes: dict[str, list[Scene]]
) -> Iterator[Finding]:
    """Anchors and labels, where training would look for them."""
    file = anchors_file(dataset, paths, scenes["train"], config.model.num_anchors)
    yield (anchors := examined("anchors", partial(check_anchors, file, config.model.num_anchors)))
    if file.is_file() and anchors.status != "fail":
        members = list({scene.token: scene for split in ("train", "val") for scene in scenes[split]}.values())
        values = read_anchors(file)
        folder = Path(config.data.labels or labels_folder(config.workspace, paths, members, values))
        yield examined("labels", partial(check_labels, folder, values, members, paths))
