"""Scenes whose sensor files are lacking: which are left out, which frames are masked, and that no start looks twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny_dataset import NEEDS, SPEC, SPLIT, TARGETS, write_dataset

from wotempo.data import frame_cache
from wotempo.data.module import NavsimDataModule
from wotempo.data.window import fallen
from wotempo.errors import UserError
from wotempo.navsim import SceneFilter, find_scenes
from wotempo.navsim.index.logs import index_logs
from wotempo.navsim.schema import DataPaths


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("lacking") / "navsim").root


@pytest.fixture
def paths(whole, tmp_path) -> DataPaths:
    root = shutil.copytree(whole, tmp_path / "navsim")
    return DataPaths(root, root / "maps")


def module_of(paths: DataPaths, missing: str, **changes) -> NavsimDataModule:
    cache = paths.root.parent / "cache"
    files = sorted(paths.log_dir(SPLIT).glob("straight.pkl"))
    scenes = find_scenes(index_logs(files, SPLIT, cache), SceneFilter(require_full_history=False))
    given = {"feature_spec": SPEC, "target_spec": TARGETS, "needs": replace(NEEDS, anchors=False, labels=False)}
    given |= {"batch_size": 3, "missing": missing}
    return NavsimDataModule(paths, cache, {"train": scenes[3:], "val": scenes[:3]}, None, **given | changes)


def places(module: NavsimDataModule) -> list[int]:
    return [scene.index for split in ("val", "train") for scene in module.scenes[split]]


def cloud(paths: DataPaths, place: int):
    """The LiDAR file of a frame of the log."""
    return paths.blob_dir(SPLIT) / module_of(paths, "error").scenes["train"][0].log.frames[place].lidar_path


def test_the_rule():
    windows, lost = np.array([[-1, 0], [0, 1], [1, 2]]), np.array([True, False, False])
    assert fallen(windows, lost, masked=False).tolist() == [True, True, False]
    assert fallen(windows, lost, masked=True).tolist() == [True, False, False]
    assert fallen(windows, np.array([False, False, True]), masked=False).tolist() == [False, False, True]


@pytest.mark.parametrize("how", ["absent", "empty", "cut", "folder", "link"])
def test_a_frame_that_cannot_be_had_costs_by_the_mode(paths, how, capsys):
    """The window of scene i holds the frames i - 3 … i."""
    file = cloud(paths, 3)
    content = file.read_bytes()
    file.unlink()
    if how == "empty":
        file.write_bytes(b"")
    elif how == "cut":
        file.write_bytes(content[:300])
    elif how == "folder":
        file.mkdir()
    elif how == "link":
        file.symlink_to(file.name)
    with pytest.raises(UserError):
        module_of(paths, "error").build_caches()
    every = places(module_of(paths, "error"))
    drop, mask = module_of(paths, "drop"), module_of(paths, "mask")
    drop.build_caches()
    mask.build_caches()
    assert places(drop) == [place for place in every if not 3 <= place <= 6]
    assert places(mask) == [place for place in every if place != 3]
    assert sum(drop.left_out.values()) == sum(3 <= place <= 6 for place in every)
    assert (sum(mask.left_out.values()), sum(mask.masked.values())) == (1, sum(4 <= place <= 6 for place in every))
    mask.setup("fit")
    shown = {}
    for split in ("train", "val"):
        members = [scene.index for scene in mask.scenes[split]]
        shown |= dict(zip(members, mask.datasets[split].valid.tolist(), strict=True))
    assert shown[4] == [True, True, False, True]
    assert shown[6] == [False, True, True, True]
    assert "scenes have masked history frames" in capsys.readouterr().out


def test_stacks_of_lidar_leave_out_a_damaged_cloud_that_is_masked(paths):
    file = cloud(paths, 3)
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[:300])
    mask = module_of(paths, "mask", needs=replace(NEEDS, anchors=False, labels=False, stacks=True))
    mask.build_caches()
    mask.setup("fit")
    for batch in mask.train_dataloader():
        assert (batch["lidar_stack"].flatten(2).any(-1) == batch["valid"]).all()


def test_frames_of_scenes_that_are_left_out_are_not_made(paths):
    """With every history file of the last scene absent nothing is made of its current frame."""
    every = places(module_of(paths, "error"))
    for place in range(every[-1] - 3, every[-1]):
        cloud(paths, place).unlink()
    module = module_of(paths, "drop", needs=replace(NEEDS, anchors=False, labels=False))
    frames = module.build_caches()["frames"]
    assert places(module) == [place for place in every if place < every[-1] - 3]
    assert frames.built == len(places(module))
    assert len(frames.failed) == 3


@pytest.mark.parametrize("missing", ["drop", "mask"])
def test_a_second_start_looks_at_no_sensor_file(paths, missing, monkeypatch):
    cloud(paths, 3).unlink()
    first = module_of(paths, missing)
    first.build_caches()
    monkeypatch.setattr(frame_cache, "file_stamp", None)
    again = module_of(paths, missing)
    reports = again.build_caches()
    assert (places(again), again.left_out, again.masked) == (places(first), first.left_out, first.masked)
    assert {kind: report.built for kind, report in reports.items()} == dict.fromkeys(reports, 0)
    with pytest.raises(UserError, match="TypeError"):
        module_of(paths, missing, recheck=True).build_caches()


def test_what_comes_is_noticed(paths):
    """A file that was absent, one that was empty; and what lies in the caches needs none."""
    file, empty = cloud(paths, 3), cloud(paths, 1)
    contents = {path: path.read_bytes() for path in (file, empty)}
    every = places(module_of(paths, "drop"))
    file.unlink()
    empty.write_bytes(b"")

    def left() -> list[int]:
        module = module_of(paths, "drop")
        module.build_caches()
        return [place for place in every if place not in places(module)]

    of_both = [place for place in every if 1 <= place <= 6]
    assert (left(), left()) == (of_both, of_both)
    empty.write_bytes(contents[empty])
    assert left() == [place for place in every if 3 <= place <= 6]
    file.write_bytes(contents[file])
    assert left() == []
    file.parent.rename(file.parent.with_name("away"))
    assert left() == []
    with pytest.raises(UserError, match=r"none of the 5 scenes of train has all.*a sensor file is absent"):
        module_of(paths, "drop", recheck=True).build_caches()


def test_a_note_from_before_is_read(paths, monkeypatch):
    module_of(paths, "error").build_caches()
    (note,) = (paths.root.parent / "cache" / "whole").glob("*.json")
    note.write_text(json.dumps(json.loads(note.read_text())["parts"]))
    monkeypatch.setattr(frame_cache, "file_stamp", None)
    module_of(paths, "error").build_caches()
