"""Several processes that prepare the same data at once: one makes each record, the others wait; all end with the bytes
of one process alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from free_port import free_port
from hydra import compose, initialize_config_module
from lightning.pytorch.utilities import rank_zero_only
from small_run import SMALL

from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.data import frame_cache, target_cache
from wotempo.experiment.run import RUN_DIR
from wotempo.experiment.run import work as train
from wotempo.navsim.index import logs
from wotempo.navsim.share import Share
from wotempo.pdm.labels import label_parts
from wotempo.preparation import anchors
from wotempo.preparation.prepare import prepare_data
from wotempo.preparation.shards import prepare_share

PROCESSES, RANKS = 3, 2
ONE_STEP = ("acceptance=smoke", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1")
COUNTED = {
    "log": (logs, "make_digest", lambda log, *_: log.stem),
    "frame": (frame_cache, "compute_frame", lambda source: source.cloud.name),
    "target": (target_cache, "compute_target", lambda source: source.scene.token),
    "anchors": (anchors, "cluster_anchors", lambda _, count: count),
    "label": (label_parts, "score_scene", lambda scene, *_: scene.token),
}


def town_alone(workspace: Path, copy: Path) -> Path:
    for town in workspace.glob("town-*"):
        shutil.copytree(town, copy / town.name)
    return copy


@pytest.fixture
def bare(micro_workspace, tmp_path) -> Path:
    """A workspace that holds the town alone."""
    return town_alone(micro_workspace, tmp_path / "bare")


def config_of(workspace: Path):
    given = [f"workspace={workspace}", "run_dir=unused", *SMALL, "data.prepare_workers=1"]
    with initialize_config_module("wotempo.configs", version_base="1.3"):
        return check_config(compose("train", overrides=given))


def counted(real, notes: Path, kind: str, label):
    """``real``, that writes a line into ``notes`` whenever it is called."""

    def call(*given, **named):
        descriptor = os.open(notes, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(descriptor, f"{kind} {label(*given)}\n".encode())
        os.close(descriptor)
        return real(*given, **named)

    return call


def counting(notes: Path) -> None:
    """From now on each piece of work in this process is written into ``notes`` as it is done."""
    for kind, (module, name, label) in COUNTED.items():
        setattr(module, name, counted(getattr(module, name), notes, kind, label))


def prepared(workspace: Path, notes: Path, share: Share | None = None) -> None:
    """``prepare_data``, or a share of it, in this process."""
    counting(notes)
    if share is None:
        prepare_data(config_of(workspace))
    else:
        prepare_share(config_of(workspace), share)


def content(workspace: Path) -> dict[str, bytes]:
    """Of all files that were made, but for times of writing."""
    files = [path for path in workspace.rglob("*") if path.is_file()]
    made = [path for path in files if not path.relative_to(workspace).parts[0].startswith("town-")]
    timed = ("index.json", "whole")
    return {
        path.relative_to(workspace).as_posix(): path.read_bytes()
        for path in made
        if not any(word in path.parts[-2:] for word in timed)
    }


def together(begin: Barrier, work: Callable[..., None], job: tuple) -> None:
    begin.wait()
    work(*job)


def at_once(*jobs: tuple, work: Callable[..., None] = prepared, start: str = "fork") -> list[list[str]]:
    """``work`` with the arguments of each job, in processes that begin together -> the notes of each, sorted."""
    context = multiprocessing.get_context(start)
    begin = context.Barrier(len(jobs))
    processes = [context.Process(target=together, args=(begin, work, job)) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    return [sorted(notes.read_text().splitlines()) for _, notes, *_ in jobs]


@pytest.fixture(scope="module")
def alone(micro_workspace, tmp_path_factory) -> tuple[list[str], dict[str, bytes]]:
    """What one process does, and what it leaves."""
    folder = tmp_path_factory.mktemp("alone")
    workspace = town_alone(micro_workspace, folder / "alone")
    [work] = at_once((workspace, folder / "one.txt"))
    assert len(set(work)) == len(work), "each is done once"
    assert {line.split()[0] for line in work} == set(COUNTED)
    assert len(content(workspace)) > 10
    return work, content(workspace)


def test_what_several_prepare_is_made_once_and_is_the_same(alone, bare, tmp_path):
    many, *_ = at_once(*[(bare, tmp_path / "many.txt")] * PROCESSES)
    assert (many, content(bare)) == alone


def test_shares_make_together_what_one_makes(alone, bare, tmp_path):
    shares = at_once(*((bare, tmp_path / f"{shard}.txt", Share(shard, 2)) for shard in (0, 1)))
    assert (sorted(shares[0] + shares[1]), content(bare)) == alone
    for notes in shares:
        assert {"frame", "target", "label"} <= {line.split()[0] for line in notes}
    assert not [*bare.glob("cache/*/shards")], "the last one looked at the whole"
    (tmp_path / "start.txt").touch()
    assert at_once((bare, tmp_path / "start.txt")) == [[]], "nothing is left to a start"


def rank(number: int, notes: Path, workspace: Path, run: Path, port: int) -> None:
    """A training's rank, as srun starts it."""
    counting(notes)
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(RANKS), "NODE_RANK": "0"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    rank_zero_only.rank = number  # Lightning reads it where it is imported
    given = ["trainer.strategy=ddp", f"trainer.devices={RANKS}", *ONE_STEP, f"run_dir={run}"]
    with loaded():
        raw = compose("train", overrides=[f"workspace={workspace}", *SMALL, "data.prepare_workers=1", *given])
    assert train(raw) == 0


def test_ranks_prepare_as_one_process_does(alone, bare, tmp_path, monkeypatch):
    """A training whose ranks were started side by side before anything is prepared. Their processes are new ones: what
    has trained cannot be forked."""
    monkeypatch.delenv(RUN_DIR, raising=False)
    run = tmp_path / "run"
    with free_port() as port:
        jobs = [(number, tmp_path / "ranks.txt", bare, run, port) for number in range(RANKS)]
        many, *_ = at_once(*jobs, work=rank, start="spawn")
    assert (many, content(bare)) == alone
    verdict = json.loads((run / "verdict.json").read_text())
    assert (verdict["status"], verdict["facts"].get("resumed")) == ("accepted", None)
