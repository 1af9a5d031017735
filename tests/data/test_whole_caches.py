"""Caches that are known to be whole: nothing that they were made from is looked at; whatever changes is noticed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny_dataset import NEEDS, SPEC, SPLIT, TARGETS, write_dataset

from wotempo.data.build import LogWork, Task, build_logs, build_records
from wotempo.data.module import NavsimDataModule
from wotempo.data.store import RecordStore, Ref
from wotempo.errors import UserError
from wotempo.navsim import SceneFilter, find_scenes
from wotempo.navsim.index.logs import index_logs
from wotempo.navsim.schema import DataPaths

DTYPE = np.dtype([("number", "<i8")])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset, and the caches of its windows."""
    root = tmp_path_factory.mktemp("whole")
    paths = write_dataset(root / "navsim")
    module_of(paths, root).build_caches()
    return root


@pytest.fixture
def copied(made, tmp_path) -> tuple[DataPaths, object]:
    shutil.copytree(made, tmp_path / "all")  # keeps modification times
    return DataPaths(tmp_path / "all/navsim", tmp_path / "all/navsim/maps"), tmp_path / "all"


def module_of(paths: DataPaths, root, **changes) -> NavsimDataModule:
    files = sorted(paths.log_dir(SPLIT).glob("*.pkl"))
    scenes = find_scenes(index_logs(files, SPLIT, root / "cache"), SceneFilter(require_full_history=False))
    given = {"feature_spec": SPEC, "target_spec": TARGETS, "needs": replace(NEEDS, anchors=False, labels=False)}
    given |= {"batch_size": 3}
    return NavsimDataModule(paths, root / "cache", {"train": scenes[:9], "val": scenes[9:]}, None, **given | changes)


def current_cloud(paths: DataPaths, root):
    """The LiDAR file of the first training scene's current frame."""
    return paths.blob_dir(SPLIT) / module_of(paths, root).scenes["train"][0].current.lidar_path


def built(module: NavsimDataModule) -> dict[str, int]:
    return {kind: report.built for kind, report in module.build_caches().items()}


def test_sensor_files_are_not_looked_at_again(copied):
    paths, root = copied
    first = {kind: report.reused for kind, report in module_of(paths, root).build_caches().items()}
    shutil.rmtree(paths.blob_dir(SPLIT))
    module = module_of(paths, root)
    reports = module.build_caches()
    assert {kind: report.reused for kind, report in reports.items()} == first
    assert all(count > 0 for count in first.values())
    assert {kind: report.built for kind, report in reports.items()} == dict.fromkeys(first, 0)
    module.setup("fit")
    assert len(next(iter(module.train_dataloader()))["tokens"]) == 3
    with pytest.raises(UserError, match="frames lack sensor files"):
        module_of(paths, root, recheck=True).build_caches()


def test_a_changed_sensor_file_is_found_by_a_recheck(copied):
    paths, root = copied
    cloud = current_cloud(paths, root)
    os.utime(cloud, ns=(1, 1))
    assert built(module_of(paths, root)) == {"frames": 0, "targets": 0}
    assert built(module_of(paths, root, recheck=True)) == {"frames": 1, "targets": 0}


def test_a_changed_log_or_map_is_noticed(copied):
    paths, root = copied
    log = paths.log_dir(SPLIT) / "gap.pkl"
    os.utime(log, ns=(1, 1))
    of_gap = built(module_of(paths, root))
    assert of_gap["frames"] == 0
    assert 0 < of_gap["targets"] < 13
    assert built(module_of(paths, root))["targets"] == 0
    os.utime(next(paths.maps.glob("us-nv-las-vegas-strip/*/map.gpkg")), ns=(1, 1))
    assert built(module_of(paths, root))["targets"] == 13


@pytest.mark.parametrize("damage", ["gone", "cut", "touched"])
@pytest.mark.parametrize("kind", ["frames", "targets"])
def test_a_damaged_part_is_noticed(copied, kind, damage):
    paths, root = copied
    part = next((root / "cache").glob(f"{kind}-*/**/part-*.npy"))
    if damage == "gone":
        part.unlink()
    elif damage == "cut":
        part.write_bytes(part.read_bytes()[:-10])
    else:
        os.utime(part, ns=(1, 1))
    found = built(module_of(paths, root))
    assert (found[kind] > 0) == (damage != "touched"), "a part that was only touched is read and found good"
    assert sum(found.values()) == found[kind]


@pytest.mark.parametrize("touched", [False, True])
def test_caches_of_another_user_are_read(copied, monkeypatch, touched):
    paths, root = copied
    if touched:  # as by a copy without times: what is found out cannot be written back
        for part in (root / "cache").rglob("part-*.npy"):
            os.utime(part, ns=(1, 1))
    before = {path: path.stat().st_mtime_ns for path in (root / "cache").rglob("*")}
    monkeypatch.setattr(os, "access", lambda *_: False)
    needs = replace(NEEDS, anchors=False, labels=False, frames=2)  # other windows, of which there is no note
    module = module_of(paths, root, needs=needs)
    assert built(module) == {"frames": 0, "targets": 0}
    module.setup("fit")
    assert len(next(iter(module.train_dataloader()))["tokens"]) == 3
    assert {path: path.stat().st_mtime_ns for path in (root / "cache").rglob("*")} == before


def test_a_cache_of_a_later_version_stays_as_it_is(copied):
    paths, root = copied
    (index, *_) = (root / "cache").glob("frames-*/**/index.json")
    content = index.read_text().replace('"version": 1', '"version": 2')
    index.write_text(content)
    shutil.rmtree(root / "cache" / "whole")
    with pytest.raises(UserError, match=r"written by a later version .*\(format 2, here 1\).* data\.cache"):
        built(module_of(paths, root))
    assert index.read_text() == content


def test_other_windows_are_not_taken_for_these(copied):
    paths, root = copied
    shutil.rmtree(paths.blob_dir(SPLIT))
    module = module_of(paths, root, needs=replace(NEEDS, anchors=False, labels=False, frames=6))
    with pytest.raises(UserError, match="lack sensor files"):
        module.build_caches()


def test_what_is_left_out_is_looked_for_at_every_start(copied):
    paths, root = copied
    cloud = current_cloud(paths, root)
    whole = cloud.read_bytes()
    cloud.unlink()
    for _ in range(2):
        module = module_of(paths, root, missing="drop", recheck=True)
        module.build_caches()
        assert sum(module.left_out.values()) > 0
    cloud.write_bytes(whole)
    module = module_of(paths, root, missing="drop")
    module.build_caches()
    assert module.left_out == {}


def _commit(root, begin, numbers) -> None:
    store = RecordStore(root, "things", "abc", DTYPE)
    begin.wait()
    for number in numbers:
        build_records(store, [Task("split/log", f"token{number}", "k", number)], _number)


def _number(number: int) -> np.ndarray:
    return np.array((number,), DTYPE)


def test_no_record_of_several_processes_is_lost(tmp_path):
    context = multiprocessing.get_context("fork")
    begin = context.Barrier(4)
    many = [context.Process(target=_commit, args=(tmp_path, begin, range(k, 200, 4))) for k in range(4)]
    for process in many:
        process.start()
    for process in many:
        process.join(120)
        assert process.exitcode == 0
    store = RecordStore(tmp_path, "things", "abc", DTYPE)
    reader = store.reader([Ref("split/log", f"token{number}") for number in range(200)])
    assert [int(reader.read(i)["number"]) for i in range(200)] == list(range(200))


def test_what_a_killed_build_left_is_removed(tmp_path):
    store = RecordStore(tmp_path, "things", "abc", DTYPE)
    left = store.root / "split/log" / ".part-0123.npy.77.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    work = LogWork("split/log", [3])
    build_logs(store, lambda of: build_records(store, [Task(of.group, "t", "k", 3)], _number), [work], 1)
    assert sorted(path.suffix for path in left.parent.iterdir()) == [".json", ".npy"]
