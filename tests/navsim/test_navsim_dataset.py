"""Where the data lies, what is missing of it, and what happens when the disk is full."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import numpy as np
import pytest
from navsim_builders import LOG_NAME, make_frame, make_log, refusing_files_larger_than
from score_tables import write_score_table

from wotempo.errors import UserError
from wotempo.navsim import DataPaths, atomic_path, log_paths, read_splits, write_anchors
from wotempo.navsim.dataset import SplitLogs, lack_of_sensors, write_splits
from wotempo.navsim.files import atomic_folder
from wotempo.navsim.images import write_image
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.pcd import write_pcd


@pytest.fixture
def paths(tmp_path: Path) -> DataPaths:
    (tmp_path / "navsim_logs" / "mini").mkdir(parents=True)
    (tmp_path / "maps").mkdir()
    return DataPaths.from_env({"OPENSCENE_DATA_ROOT": str(tmp_path)})


def test_paths_come_from_the_two_variables(tmp_path: Path, paths: DataPaths):
    assert (paths.root, paths.maps) == (tmp_path, tmp_path / "maps")
    (tmp_path / "elsewhere").mkdir()
    environ = {"OPENSCENE_DATA_ROOT": str(tmp_path), "NUPLAN_MAPS_ROOT": str(tmp_path / "elsewhere")}
    assert DataPaths.from_env(environ).maps == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("environ", "match"),
    [
        ({}, "OPENSCENE_DATA_ROOT is not set"),
        ({"OPENSCENE_DATA_ROOT": ""}, "OPENSCENE_DATA_ROOT is not set"),
        ({"OPENSCENE_DATA_ROOT": "{root}/maps"}, "OPENSCENE_DATA_ROOT=.*maps holds no folder navsim_logs"),
        (
            {"OPENSCENE_DATA_ROOT": "{root}", "NUPLAN_MAPS_ROOT": "{root}/no"},
            "no is not a folder; set NUPLAN_MAPS_ROOT",
        ),
    ],
)
def test_the_variable_to_set_is_named(tmp_path: Path, paths: DataPaths, environ: dict[str, str], match: str):
    with pytest.raises(UserError, match=match):
        DataPaths.from_env({key: value.format(root=tmp_path) for key, value in environ.items()})


def test_logs_of_a_split(paths: DataPaths):
    for name in ("b", "a", "c"):
        (paths.log_dir("mini") / f"{name}.pkl").write_bytes(b"x")
    assert [path.stem for path in log_paths(paths, "mini")] == ["a", "b", "c"]
    assert [path.stem for path in log_paths(paths, "mini", ["c", "a"])] == ["a", "c"]
    with pytest.raises(UserError, match=r"mini: 2 of 3 log files are missing, first d.pkl, e.pkl"):
        log_paths(paths, "mini", ["d", "a", "e"])
    with pytest.raises(UserError, match=r"test: holds no logs"):
        log_paths(paths, "test")


def refuse(paths: DataPaths, frames) -> None:
    lack_of_sensors(paths, "mini", frames).refuse(paths.blob_dir("mini"), "sensor")


def test_missing_and_empty_sensor_files_are_counted(paths: DataPaths):
    log = make_log(np.arange(5) * 0.5)
    files = [file for frame in log.frames for file in [*(c.path for c in frame.cameras.values()), frame.lidar_path]]
    for file in files:
        (paths.blob_dir("mini") / file).parent.mkdir(parents=True, exist_ok=True)
        (paths.blob_dir("mini") / file).write_bytes(b"x")
    refuse(paths, log.frames)

    for index in (0, 1, 2, 3):
        (paths.blob_dir("mini") / log.frames[index].cameras["CAM_F0"].path).unlink()
    (paths.blob_dir("mini") / log.frames[4].lidar_path).write_bytes(b"")
    first = ", ".join(log.frames[i].cameras["CAM_F0"].path for i in range(3))
    with pytest.raises(UserError) as caught:
        refuse(paths, log.frames)
    assert f"4 of 20 sensor files are missing, first {first};" in str(caught.value)
    assert f"1 of 20 sensor files are empty (0 bytes), first {log.frames[4].lidar_path};" in str(caught.value)

    with pytest.raises(UserError, match="1 of 4 sensor files are empty"):
        refuse(paths, [log.frames[4], log.frames[4]])
    with pytest.raises(UserError, match="names no file for CAM_L0"):
        refuse(paths, [dataclasses.replace(log.frames[0], cameras={})])


def test_splits_survive(tmp_path: Path):
    splits = {"train": SplitLogs("trainval", ("a", "b")), "test": SplitLogs("test", ("c",))}
    write_splits(tmp_path, splits)
    assert read_splits(tmp_path) == splits
    for text in ("{", "[1]", '{"train": {"split": "trainval"}}'):
        (tmp_path / "splits.json").write_text(text)
        with pytest.raises(UserError, match=r"splits\.json: not a list of splits"):
            read_splits(tmp_path)
    with pytest.raises(UserError, match=r"nowhere/splits\.json: cannot be read"):
        read_splits(tmp_path / "nowhere")


NOISE = np.random.default_rng(0)
WRITERS = {
    f"{LOG_NAME}.pkl": lambda path: write_log(path, [make_frame(i) for i in range(20)]),
    "x.pcd": lambda path: write_pcd(path, np.zeros((5000, 3)), *[np.zeros(5000, np.uint8)] * 3),
    "x.jpg": lambda path: write_image(path, NOISE.integers(0, 255, (270, 480, 3), np.uint8)),
    "x.npy": lambda path: write_anchors(path, np.zeros((1024, 8, 3))),
    "scores": lambda path: write_score_table(path, list("abcdef"), np.ones((6, 5, 20_000)), "f", "1"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, name: str):
    with refusing_files_larger_than(20_000), pytest.raises(UserError, match=rf"{name}: cannot be written, File too"):
        WRITERS[name](tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    WRITERS[name](tmp_path / name)
    before = sorted((path, path.stat().st_size) for path in tmp_path.rglob("*"))
    with refusing_files_larger_than(20_000), pytest.raises(UserError):
        WRITERS[name](tmp_path / name)
    assert sorted((path, path.stat().st_size) for path in tmp_path.rglob("*")) == before


def write_and_raise(atomic, path: Path, error: BaseException) -> None:
    with atomic(path) as temporary:
        (temporary / "part" if temporary.is_dir() else temporary).write_text("new, half")
        raise error


def test_a_full_disk_is_called_by_its_name(tmp_path: Path):
    full = OSError(errno.ENOSPC, "No space left on device")
    for atomic in (atomic_path, atomic_folder):
        with pytest.raises(UserError, match=r"is full \(.*x: cannot be written, No space left on device\): free"):
            write_and_raise(atomic, tmp_path / "x", full)
        assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="x: cannot be written"):
        write_and_raise(atomic_path, tmp_path / "file" / "x", RuntimeError())


def test_an_interrupted_writing_leaves_the_old_file(tmp_path: Path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(atomic_path, tmp_path / "x", KeyboardInterrupt())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]
