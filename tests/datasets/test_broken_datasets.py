"""Broken and partial datasets: with ``data.missing=error`` each is named in one sentence, or its lack is counted; with
``drop`` and ``mask`` the rest is used, and what is left out is counted by cause."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_dataset import LOCATION, NEEDS, SPEC, SPLIT, TARGETS, token

from wotempo.data.module import NavsimDataModule
from wotempo.datasets import DATASETS, find_split
from wotempo.errors import UserError
from wotempo.maps import read_map
from wotempo.maps.locations import map_path
from wotempo.navsim import DataPaths, read_log
from wotempo.navsim.log_writer import write_log

STRAIGHT = [token("straight", i) for i in range(18)]
ALL = 13  # scenes of both logs
OF_GAP = 5


def log(root: Path, name: str = "gap") -> Path:
    return root / "navsim_logs" / SPLIT / f"{name}.pkl"


def blobs(root: Path, name: str = "") -> Path:
    return root / "sensor_blobs" / SPLIT / name


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()  # linked: the whole one stays whole
    path.write_bytes(content[: len(content) // 2])


def half_a_log(root: Path) -> None:
    frames = read_log(log(root), SPLIT).frames[:10]
    log(root).unlink()
    write_log(log(root), list(frames))


def other_version(root: Path) -> None:
    raw = pickle.loads(log(root).read_bytes())
    for frame in raw:
        frame["ego_pose"] = frame.pop("ego2global_rotation", None)
    log(root).unlink()
    log(root).write_bytes(pickle.dumps(raw, protocol=4))


def looped(root: Path) -> None:
    remove(blobs(root, "gap"))
    blobs(root, "gap").symlink_to("gap")


def of_another_log(root: Path) -> None:
    remove(blobs(root, "gap"))
    shutil.copytree(blobs(root, "straight"), blobs(root, "gap"))


def no_history(root: Path) -> None:
    for frame in read_log(log(root, "straight"), SPLIT).frames[:3]:
        for name in frame.sensor_files:
            (blobs(root) / name).unlink()


def empty(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"")


HISTORY = {"log_names": ["straight"], "tokens": STRAIGHT[3:8]}
NONE_OF = "none of the 13 scenes of train has all its sensor files"
# What is broken, the scene filter, the sentence of error ("" where it starts), scenes that drop keeps, its sentence.
BROKEN = {
    "an archive is missing": (lambda r: remove(blobs(r, "gap")), None, "lack sensor files", ALL - OF_GAP, "absent"),
    "history archives only in part": (no_history, HISTORY, "lack sensor files", 2, "a sensor file is absent"),
    "metadata without sensors": (lambda r: remove(r / "sensor_blobs"), None, "lack sensor files", None, NONE_OF),
    "a sensor folder of another log": (of_another_log, None, "lack sensor files", ALL - OF_GAP, "absent"),
    "a folder that cannot be looked at": (looped, None, "cannot be looked at", ALL - OF_GAP, "cannot be looked at"),
    "half a file of a log": (lambda r: cut(log(r)), None, r"gap\.pkl", ALL - OF_GAP, "1 of 2 logs cannot be read"),
    "half the frames of a log": (half_a_log, {"tokens": [*STRAIGHT[3:8], token("gap", 9)]}, "", 5, "too near the edge"),
    "a log of 0 bytes": (lambda r: empty(log(r)), None, r"gap\.pkl", ALL - OF_GAP, "1 of 2 logs cannot be read"),
    "a log of another version": (other_version, None, r"gap\.pkl", ALL - OF_GAP, "1 of 2 logs cannot be read"),
    "a log that is a folder": (lambda r: (remove(log(r)), log(r).mkdir()), None, r"gap\.pkl", 8, "cannot be read"),
    "a map is lost": (lambda r: remove(map_path(r / "maps", LOCATION)), None, r"map\.gpkg", None, "map cannot be read"),
    "half a map": (lambda r: cut(map_path(r / "maps", LOCATION)), None, r"map\.gpkg", None, "map cannot be read"),
    "an empty split": (lambda r: [remove(log(r)), remove(log(r, "straight"))], None, "holds no logs", None, "no logs"),
    "another token list": (lambda _: None, {"tokens": ["f" * 16]}, "0 of 1 listed tokens", None, "0 of 1 listed"),
    "tokens twice": (lambda _: None, {"tokens": STRAIGHT[3:8] * 2}, "", 5, "5 tokens of the filter are listed twice"),
}


@pytest.fixture
def start(root, tmp_path):
    """``start(damage, filter, missing)`` -> the scenes that a run would train on; of a copy that shares its files."""
    copy = tmp_path / "navsim"
    shutil.copytree(root, copy, copy_function=lambda a, b: Path(b).hardlink_to(a))

    def begin(missing: str, filtered=None) -> list[str]:
        chosen = SimpleNamespace(split=SPLIT, max_scenes=None, scene_filter=None, logs=None)
        if filtered is not None:
            chosen.scene_filter = str(tmp_path / "filter.yaml")
            (tmp_path / "filter.yaml").write_text(json.dumps(filtered))
        data = SimpleNamespace(root=str(copy), maps=None, full_history_only=False, cache=None, prepare_workers=1,
                               train=chosen, missing=missing, recheck=False)  # fmt: skip
        dataset = DATASETS["navsim"](data, str(tmp_path))  # type: ignore[arg-type]
        scenes, coverage = find_split(dataset, dataset.here(), "train", lambda *_: None)
        coverage.say()
        paths = DataPaths(copy, copy / "maps")
        for scene in scenes:
            read_map(paths.maps, scene.current.map_location).load()
        module = NavsimDataModule(
            paths, tmp_path / "cache" / copy.name, {"train": scenes}, None, batch_size=2, feature_spec=SPEC,
            target_spec=TARGETS, needs=replace(NEEDS, anchors=False, labels=False), missing=missing,
        )  # fmt: skip
        module.build_caches()
        return [scene.token for scene in module.scenes["train"]]

    begin.copy = copy
    return begin


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_named_or_dropped_with_its_count(start, broken, capsys):
    damage, filtered, refused, kept, says = BROKEN[broken]
    damage(start.copy)
    if refused:
        with pytest.raises(UserError, match=refused) as told:
            start("error", filtered)
        assert "\n" not in str(told.value)
    if kept is None:
        with pytest.raises(UserError, match=says):
            start("drop", filtered)
        return
    capsys.readouterr()
    first = start("drop", filtered)
    assert len(first) == kept
    printed = capsys.readouterr().out
    assert says in printed
    assert start("drop", filtered) == first
    assert capsys.readouterr().out == printed


def test_a_log_that_is_fetched_again_is_read(start):
    whole = log(start.copy).read_bytes()
    cut(log(start.copy))
    assert len(start("drop")) == ALL - OF_GAP
    log(start.copy).write_bytes(whole)
    assert len(start("drop")) == ALL


def test_history_that_is_there_in_part_is_masked(start, capsys):
    no_history(start.copy)
    assert len(start("mask", HISTORY)) == 5
    assert "train: 3 of 5 scenes have masked history frames" in capsys.readouterr().out


def test_nothing_is_lost_of_a_whole_dataset(start):
    assert len(start("error")) == ALL
    assert start("error") == start("drop") == start("mask")
