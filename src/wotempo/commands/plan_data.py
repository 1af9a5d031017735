"""What a configuration needs on disk: which files, what is here, what is missing, how many bytes.

python -m wotempo.commands.plan_data experiment=convgru_1epoch data=navsim [key=value ...]

Nothing is fetched or written. Where the logs are not here yet, published counts and sizes stand in, and a line says so.
Exit 0 where all is here, 1 where something is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.data import window_frames
from wotempo.data.frame_cache import frame_dtype
from wotempo.data.target_cache import target_dtype
from wotempo.doctor.archives import (
    FRAMES_PER_TOKEN,
    IN_ARCHIVES,
    LOGS,
    MAPS,
    TEST_LOGS,
    TEST_SENSORS,
    TOKENS,
    TRAIN_CURRENT,
    TRAIN_HISTORY,
    TRAIN_LOGS,
    Archive,
    Piece,
    absent,
    frame_files,
    map_files,
    piece,
)
from wotempo.doctor.storage import SPARE_BYTES, existing
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Frame, Scene
from wotempo.preparation.datamodule import feature_spec, target_spec
from wotempo.preparation.outlook import data_paths, still_to_write
from wotempo.preparation.prepare import Progress, stage_scenes, window_of, with_history
from wotempo.preparation.progress import PreparationProgress

FILES_PER_FRAME = 4  # three cameras and the LiDAR
LABEL_BYTES = 3  # an anchor
TOWN = "make train-convgru-1epoch generates it"
STAGES = ("train", "val", "test")


@dataclass(frozen=True)
class Plan:
    """``fetch``: what the dataset consists of; ``made``: (name, bytes still to write) of what is made from it here."""

    fetch: list[Piece]
    made: list[tuple[str, float]]
    notes: list[str]

    @property
    def complete(self) -> bool:
        return all(piece.complete for piece in self.fetch)


def check(raw: DictConfig) -> tuple[RunConfig, list[str]]:
    """The run, and what lacks of the environment. A dataset that is not here yet has no scene filters to check."""
    lacking = []
    if raw.data.kind == "navsim":
        if not os.environ.get("NAVSIM_DEVKIT_ROOT"):
            lacking.append("NAVSIM_DEVKIT_ROOT is not set: git clone the devkit, it has the scene filters")
            raw = deepcopy(raw)
            for key in (f"data.{stage}.{file}" for stage in STAGES for file in ("scene_filter", "logs")):
                OmegaConf.update(raw, key, None)
        if raw.data.root is None and not os.environ.get("OPENSCENE_DATA_ROOT"):
            lacking.append("OPENSCENE_DATA_ROOT is not set: the folder on the large disk that will hold navsim_logs/")
    return check_config(raw), lacking


def frames_of(config: RunConfig, scenes: list[Scene]) -> tuple[list[Frame], list[Frame], int]:
    """Distinct frames that windows need: current ones, those that are history only, and how many of these lie further
    back than navtrain's archives reach."""
    now = {scene.current.token: scene.current for scene in scenes}
    past: dict[str, Frame] = {}
    near: set[str] = set()
    for scene in scenes:
        members = [frame for frame in window_frames(scene, *window_of(config))[:-1] if frame is not None]
        past |= {frame.token: frame for frame in members if frame.token not in now}
        near |= {frame.token for frame in window_frames(scene, IN_ARCHIVES, 1) if frame is not None}
    return list(now.values()), list(past.values()), len(past.keys() - near)


def by_logs(config: RunConfig, paths: DataPaths, progress: Progress) -> Plan:
    """Counted file by file, since the logs are here."""
    real = config.data.kind == "navsim"

    def archive(which: Archive) -> Archive | None:
        return which if real else None

    fetch = [piece("maps", map_files(paths.maps), archive(MAPS), TOWN)]
    windows: dict[str, list[Scene]] = {}
    notes = []
    for stage in STAGES:
        sensors = TEST_SENSORS if stage == "test" else TRAIN_CURRENT
        split = getattr(config.data, stage).split
        if real and not list(paths.log_dir(split).glob("*.pkl")):
            fetch += published(config, stage)
            continue
        windows |= with_history(config, {stage: stage_scenes(paths, config.data, stage, progress)})
        now, past, far = frames_of(config, windows[stage])
        fetch.append(piece(f"{stage}: current frames", frame_files(paths, split, now), archive(sensors), TOWN))
        if past:
            history = TEST_SENSORS if stage == "test" else TRAIN_HISTORY
            fetch.append(piece(f"{stage}: history frames", frame_files(paths, split, past), archive(history), TOWN))
        if real and stage != "test" and far:
            notes.append(f"{far} frames of {stage} lie further back than 1.5 s: no archive of navtrain has them, only "
                         "the whole trainval split; data.missing_history=mask leaves them out")  # fmt: skip
    used = {stage: members for stage, members in windows.items() if stage != "test"}
    caches = caches_of(still_to_write(config, paths, used)[0]) if used else projected_caches(config)
    return Plan(fetch, [caches, *others(config, sum(map(len, used.values())))], notes)


def caches_of(size: float, about: str = "") -> tuple[str, float]:
    return f"caches of frames and targets{about}", float(size)


def published(config: RunConfig, stage: str) -> list[Piece]:
    """What is known of a stage without its logs."""
    split = "test" if stage == "test" else "trainval"
    logs, sensors = (TEST_LOGS, TEST_SENSORS) if stage == "test" else (TRAIN_LOGS, TRAIN_CURRENT)
    pieces = [absent(f"{stage}: logs", LOGS[split], logs)] if stage != "val" else []
    pieces.append(absent(f"{stage}: current frames", TOKENS[stage] * FILES_PER_FRAME, sensors))
    if config.fusion["num_frames"] > 1 and stage != "test":
        past = round(TOKENS[stage] * (FRAMES_PER_TOKEN - 1) * FILES_PER_FRAME)
        pieces.append(absent(f"{stage}: history frames, about", past, TRAIN_HISTORY))
    return pieces


def projected_caches(config: RunConfig) -> tuple[str, float]:
    """What the caches will take, without the logs: from the size of a record and the published counts."""
    tokens = TOKENS["train"] + TOKENS["val"]
    frames = tokens * (FRAMES_PER_TOKEN if config.fusion["num_frames"] > 1 else 1.0)
    size = frames * frame_dtype(feature_spec(config.model)).itemsize
    size += tokens * target_dtype(target_spec(config.model)).itemsize
    return caches_of(size, ", about")


def others(config: RunConfig, tokens: int) -> list[tuple[str, float]]:
    return [
        ("labels", float(tokens * config.model.num_anchors * LABEL_BYTES)),
        ("checkpoints and logs of a run, at most about", SPARE_BYTES),
    ]


def plan(config: RunConfig, paths: DataPaths | None, progress: Progress) -> Plan:
    if paths is not None:
        return by_logs(config, paths, progress)
    if config.data.kind == "town":
        return Plan([Piece(f"town '{config.data.preset}'", 1, 0, 0, None, TOWN)], others(config, 0), [])
    fetch = [absent("maps", len(map_files(Path())), MAPS)]
    for stage in STAGES:
        fetch += published(config, stage)
    return Plan(
        fetch,
        [projected_caches(config), *others(config, TOKENS["train"] + TOKENS["val"])],
        ["the logs are not here: counts and sizes are the published ones, of whole archives"],
    )


def to_fetch(fetch: list[Piece]) -> float | None:
    """Bytes; archives count once, although train and val lie in the same ones. None where nobody knows."""
    lacking = [piece for piece in fetch if not piece.complete]
    if any(piece.bytes_missing is None for piece in lacking):
        return None
    once = {piece.how if piece.how != TOWN else piece.name: piece.bytes_missing or 0.0 for piece in lacking}
    return sum(once.values())


def size_text(count: float | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1e9:,.2f} GB" if count >= 1e7 else f"{count / 1e6:,.2f} MB"


def table(found: Plan) -> Table:
    view = Table(title="what the run needs on disk")
    for column in ("", "files", "here", "bytes here", "missing", "to fetch", "how"):
        view.add_column(column, justify="left" if column in ("", "how") else "right", overflow="fold")
    for p in found.fetch:
        lacks = p.needed - p.here
        cells = [f"{p.needed:,}", f"{p.here:,}", size_text(p.bytes_here), f"{lacks:,}" if lacks else "–"]
        view.add_row(p.name, *cells, size_text(p.bytes_missing) if lacks else "–", p.how if lacks else "")
    return view


def lines(config: RunConfig, found: Plan) -> Iterator[str]:
    yield f"to fetch: {size_text(to_fetch(found.fetch))}" if not found.complete else "the dataset is whole"
    where = existing(Path(config.workspace))
    yield f"made here, below {config.workspace} ({size_text(free_bytes(where))} free), still to write:"
    for name, count in found.made:
        yield f"  {name}: {size_text(count)}"
    yield from found.notes


def free_bytes(folder: Path) -> float:
    state = os.statvfs(folder)
    return float(state.f_bavail * state.f_frsize)


def located(config: RunConfig, lacking: list[str], progress: Progress) -> DataPaths | None:
    """The dataset's folders; None where they are not here yet, with the reason added to ``lacking``."""
    if lacking:
        return None
    try:
        return data_paths(config, progress)
    except UserError as error:
        lacking.append(str(error))
        return None


def work(raw: DictConfig) -> int:
    config, lacking = check(raw)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        found = plan(config, located(config, lacking, progress), progress)
    Console(width=150).print(table(found))
    for line in (*lacking, *lines(config, found)):
        print(line)
    return 0 if found.complete else 1


if __name__ == "__main__":
    run("plan_data", check, work)
