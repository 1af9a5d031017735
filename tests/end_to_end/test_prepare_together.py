"""Several processes that prepare the same data at once: one makes each record, the others wait; all end with the bytes
of one process alone."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from small_run import SMALL

from wotempo.config.checks import check_config
from wotempo.data import frame_cache, target_cache
from wotempo.navsim.index import logs
from wotempo.pdm.labels import label_parts
from wotempo.preparation import anchors
from wotempo.preparation.prepare import prepare_data

PROCESSES = 3
COUNTED = {
    "log": (logs, "make_digest", lambda log, *_: log.stem),
    "frame": (frame_cache, "compute_frame", lambda source: source.cloud.name),
    "target": (target_cache, "compute_target", lambda source: source.scene.token),
    "anchors": (anchors, "cluster_anchors", lambda _, count: count),
    "label": (label_parts, "score_scene", lambda scene, *_: scene.token),
}


@pytest.fixture
def bare(micro_workspace, tmp_path) -> Path:
    """A workspace that holds the town alone."""
    for town in micro_workspace.glob("town-*"):
        shutil.copytree(town, tmp_path / "bare" / town.name)
    return tmp_path / "bare"


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


def prepared(workspace: Path, notes: Path, begin=None) -> None:
    """``prepare_data`` in this process; each piece of work is written into ``notes`` as it is done."""
    for kind, (module, name, label) in COUNTED.items():
        setattr(module, name, counted(getattr(module, name), notes, kind, label))
    if begin is not None:
        begin.wait()
    prepare_data(config_of(workspace))


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


def test_what_several_prepare_is_made_once_and_is_the_same(bare, tmp_path):
    context = multiprocessing.get_context("fork")
    alone = shutil.copytree(bare, tmp_path / "alone")
    one = context.Process(target=prepared, args=(alone, tmp_path / "one.txt"))
    one.start()
    one.join(300)
    assert one.exitcode == 0
    begin = context.Barrier(PROCESSES)
    many = [context.Process(target=prepared, args=(bare, tmp_path / "many.txt", begin)) for _ in range(PROCESSES)]
    for process in many:
        process.start()
    for process in many:
        process.join(300)
        assert process.exitcode == 0
    work = {name: sorted((tmp_path / f"{name}.txt").read_text().splitlines()) for name in ("one", "many")}
    assert work["many"] == work["one"]
    assert len(set(work["one"])) == len(work["one"]), "each is done once"
    assert {line.split()[0] for line in work["one"]} == set(COUNTED)
    assert content(bare) == content(alone)
    assert len(content(bare)) > 10
