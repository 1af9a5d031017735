"""Config -> a dataset on disk: ``navsim_logs``, ``sensor_blobs``, ``maps``, ``splits.json``; last ``city.json``."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from wotempo.city.dataset.config import VERSION, CityConfig, TwinConfig
from wotempo.city.dataset.frames import ahead, frame_actors, record_log
from wotempo.city.dataset.plan import LogPlan, district_count, plan_logs
from wotempo.city.sensors.files import write_sensors
from wotempo.city.sensors.town import draw_district, draw_world
from wotempo.city.streets.map_layers import write_town_map
from wotempo.city.traffic.drive import Drive, run_drive
from wotempo.city.traffic.ego import drivable_area, rank_egos
from wotempo.city.traffic.people import People, gather
from wotempo.city.traffic.props import draw_props
from wotempo.city.traffic.recovery import draw_recovery
from wotempo.errors import UserError
from wotempo.navsim.dataset import SPLITS, NoImitation, SplitLogs, write_no_imitation, write_splits
from wotempo.navsim.files import write_bytes
from wotempo.navsim.lock import locked
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.schema import FRAME_PERIOD_S, NUM_FUTURE

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # what, done, total

EXPERTS = 14  # vehicles of a drive that may become the ego
ATTEMPTS = 30  # drives until one has an ego worth recording; nearly always the first has
_PARTS = "no_imitation.parts"  # a file of each log that begins off the expert's path


def build_city(root: Path, config: CityConfig, workers: int = 1, progress: Progress | None = None) -> None:
    """Make the town, or whatever of it is missing.

    The files depend on ``config`` only, not on ``workers``. A log's file is written after all its sensor files, and
    ``city.json`` after everything, so what is there is whole; an interrupted build goes on where it stopped, and a
    second one waits for the first.
    Raises UserError when ``root`` holds another town or the disk is full.
    """
    if (root / "city.json").exists() and _claim(root, config):
        return
    with locked(root.with_name(f".{root.name}.lock"), str(root), wait=True):
        if not _claim(root, config):
            if isinstance(config, TwinConfig):
                _build_twins(root, config, workers, progress)
            else:
                _build(root, config, workers, progress)


def _build_twins(root: Path, config: TwinConfig, workers: int, progress: Progress | None) -> None:
    from wotempo.city.twins import build as twins  # it knows the scorer, which loads much

    report = progress or (lambda what, done, total: None)
    blocks = twins.plan_blocks(config)
    todo = [block for block in blocks if not twins.part_path(root, block).exists()]
    report("make twin scenes", len(blocks) - len(todo), len(blocks))
    _write_map(root, config)
    twins.prepare(root, config)
    for done, _ in enumerate(_run(partial(twins.make_block, root, config), todo, workers), len(blocks) - len(todo) + 1):
        report("make twin scenes", done, len(blocks))
    twins.finish(root, config, blocks)
    _finish(root, config, plan_logs(config))


def _build(root: Path, config: CityConfig, workers: int, progress: Progress | None) -> None:
    report = progress or (lambda what, done, total: None)
    plans = plan_logs(config)
    todo = [plan for plan in plans if not _log_path(root, plan).exists()]
    report("simulate town", len(plans) - len(todo), len(plans))
    _write_map(root, config)
    for done, _ in enumerate(_run(partial(make_log, root, config), todo, workers), len(plans) - len(todo) + 1):
        report("simulate town", done, len(plans))
    _finish(root, config, plans)


def _write_map(root: Path, config: CityConfig) -> None:
    if not (root / "maps" / "nuplan-maps-v1.0.json").exists():  # write_town_map writes it last
        write_town_map(root / "maps", [draw_district(config.seed, k) for k in range(district_count(config))])


def _finish(root: Path, config: CityConfig, plans: list[LogPlan]) -> None:
    """What is written when all logs are there."""
    logs = {split: tuple(plan.identity.name for plan in plans if plan.split == split) for split in SPLITS}
    write_splits(root, {split: SplitLogs(folder, logs[split]) for split, (folder, _) in config.splits.items()})
    counts = {"logs": len(plans), "frames": len(plans) * config.frames, "districts": district_count(config)}
    if config.recorders is not None:
        write_no_imitation(root, NoImitation(config.fingerprint, frozenset(_gathered(root, plans))))
    write_bytes(root / "city.json", _description(config, counts))
    (root / "city.unfinished.json").unlink()
    shutil.rmtree(root / _PARTS, ignore_errors=True)


def _description(config: CityConfig, counts: dict[str, int] | None = None) -> bytes:
    town = {"version": VERSION, "fingerprint": config.fingerprint, "config": config.plain, "counts": counts}
    return json.dumps(town, indent=1).encode()


def _claim(root: Path, config: CityConfig) -> bool:
    """Whether the town is already complete; else mark the folder as this town in the making."""
    for name, complete in (("city.json", True), ("city.unfinished.json", False)):
        path = root / name
        if not path.exists():
            continue
        try:
            found = json.loads(path.read_bytes()).get("fingerprint")
        except (ValueError, AttributeError):
            found = None
        if found != config.fingerprint:
            raise UserError(f"{root} holds another town ({name} does not match); choose another folder or delete it")
        return complete
    write_bytes(root / "city.unfinished.json", _description(config))
    return False


def _log_path(root: Path, plan: LogPlan) -> Path:
    return root / "navsim_logs" / plan.folder / f"{plan.identity.name}.pkl"


def _part_path(root: Path, plan: LogPlan) -> Path:
    return root / _PARTS / f"{plan.identity.name}.json"


def _gathered(root: Path, plans: list[LogPlan]) -> Iterator[str]:
    """Tokens of the scenes of all logs that are not to be imitated."""
    for plan in plans:
        if plan.recovery:
            yield from json.loads(_part_path(root, plan).read_bytes())


def _run(make: Callable[[T], None], plans: list[T], workers: int) -> Iterator[None]:
    """Yields once per finished log, or block of logs."""
    if workers <= 1 or len(plans) <= 1:
        for plan in plans:
            make(plan)
            yield
        return
    # Each worker starts at its own place in the list and so stays within a district, whose drawing it keeps.
    stripe = -(-len(plans) // workers)
    order = [plans[k] for offset in range(stripe) for k in range(offset, len(plans), stripe)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(plans)), mp_context=context, initializer=_start_worker) as pool:
        jobs = [pool.submit(make, plan) for plan in order]
        try:
            for job in as_completed(jobs):
                job.result()
                yield
        except KeyboardInterrupt:  # a log takes seconds, and is made anew
            for child in multiprocessing.active_children():
                child.terminate()
            raise
        finally:
            for job in jobs:
                job.cancel()


def _start_worker() -> None:
    """There are as many workers as the user wants busy cores. None outlives the run that started it."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_log(root: Path, config: CityConfig, plan: LogPlan) -> None:
    """Simulate one log, write its sensor files and then its log file."""
    district = draw_district(config.seed, plan.district)
    drive, people, ego = simulate_log(config, plan)
    off = np.zeros(len(drive.poses), bool)
    if plan.recovery:
        rng = np.random.default_rng([config.seed, SPLITS.index(plan.split), plan.number, plan.recorder, 105])
        recovery = draw_recovery(drive, people, ego, drivable_area(district.network), rng)
        if recovery is not None:  # else the log is one like the others
            drive, people, off = recovery.drive, recovery.people, recovery.off
    frames = record_log(district, drive, people, ego, plan.identity, config.frames)
    if config.sensors:
        world = draw_world(config.seed, plan.district)
        blobs = root / "sensor_blobs" / plan.folder
        for k, frame in enumerate(frames[: _read_by_windows(config, plan)]):
            write_sensors(world, frame_actors(district, drive, people, ego, k), frame, blobs, config.cameras)
    if plan.recovery:
        tokens = [frame.token for frame, sees in zip(frames, ahead(off, config.frames), strict=True) if sees]
        write_bytes(_part_path(root, plan), json.dumps(tokens).encode())
    write_log(_log_path(root, plan), frames)


def _read_by_windows(config: CityConfig, plan: LogPlan) -> int:
    """How many frames of the log have sensor files."""
    return config.frames - (NUM_FUTURE if config.recorders and plan.split == "train" else 0)


def simulate_log(config: CityConfig, plan: LogPlan) -> tuple[Drive, People, int]:
    """The drive of this log's seeds, everyone in it, the ego's index. A drive without a good ego is drawn again, and
    vehicles that are lacking are taken from the next one."""
    left = plan.recorder
    for attempt in range(ATTEMPTS):
        drive, people, egos = _simulate(config, plan.split, plan.number, plan.district, attempt)
        if left < len(egos):
            return drive, people, egos[left]
        left -= len(egos)
    raise RuntimeError(f"district {plan.district} of seed {config.seed} yields no drive worth recording")


@lru_cache(2)  # the logs of a drive are made one after the other
def _simulate(
    config: CityConfig, split: str, number: int, district: int, attempt: int
) -> tuple[Drive, People, tuple[int, ...]]:
    town = draw_district(config.seed, district)
    rng = np.random.default_rng([config.seed, SPLITS.index(split), number, attempt])
    drive = run_drive(town.network, config.frames * FRAME_PERIOD_S, EXPERTS, rng)
    props = draw_props(town.network, town.surroundings, drive.closed, rng)
    people = gather(drive, props, int(rng.integers(2**31)))
    return drive, people, tuple(rank_egos(drive, people, drivable_area(town.network), rng))
