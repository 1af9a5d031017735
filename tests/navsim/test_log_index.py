"""The index of logs: what it says of frames is what the logs say, and no log is read without need."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from navsim_builders import make_log

from wotempo.errors import UserError
from wotempo.navsim import Frame, Scene, SceneFilter, find_scenes, read_log
from wotempo.navsim.index import digest, logs, stored
from wotempo.navsim.index.columns import columns_of
from wotempo.navsim.index.logs import index_logs
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.scenes import search_scenes
from wotempo.navsim.schema import Log

SPLIT = "mini"
TIMES = {"even": np.arange(30) * 0.5, "gap": np.arange(24) * 0.5 + 3.0 * (np.arange(24) >= 11)}


@pytest.fixture
def files(tmp_path) -> list[Path]:
    made = []
    for name, times in TIMES.items():
        log = make_log(times, name=name)
        made.append(tmp_path / "logs" / f"{name}.pkl")
        made[-1].parent.mkdir(exist_ok=True)
        write_log(made[-1], log.frames)
    return made


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the logs that are read from now on, in this process."""
    found: list[str] = []
    for module in (digest, logs, stored):
        monkeypatch.setattr(module, "read_log", lambda path, split: found.append(path.stem) or read_log(path, split))
    stored._read.cache_clear()
    return found


def same(one: object, other: object) -> None:
    """Equal in every field, arrays by their values and types."""
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, strict=True)
    elif hasattr(one, "__dataclass_fields__"):
        for field in fields(one):  # type: ignore[arg-type]
            same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key, value in one.items():
            same(value, other[key])
    else:
        assert type(one) is type(other)
        assert one == other


def test_a_stored_frame_is_the_frame_of_its_log(files, tmp_path):
    for file, log in zip(files, index_logs(files, SPLIT, tmp_path / "cache"), strict=True):
        whole = read_log(file, SPLIT)
        assert (log.name, log.split, len(log.frames)) == (whole.name, whole.split, len(whole.frames))
        for frame, read in zip(log.frames, whole.frames, strict=True):
            for field in fields(Frame):
                same(getattr(read, field.name), getattr(frame, field.name))
            assert (frame.annotated, frame.has_route) == (read.annotated, read.has_route)
        same(columns_of(whole).rows, columns_of(log).rows)
        assert log.frames[-1].token == log.frames[len(whole.frames) - 1].token == log.token_of(len(whole.frames) - 1)


@pytest.mark.parametrize(
    "wanted",
    [
        SceneFilter(),
        SceneFilter(require_full_history=False),
        SceneFilter(max_scenes=7),
        SceneFilter(max_scenes=20, require_full_history=False),
        SceneFilter(frame_interval=None, has_route=False),
        SceneFilter(frame_interval=3, log_names=frozenset({"gap"})),
    ],
)
def test_scenes_are_those_of_logs_that_are_held(files, tmp_path, wanted):
    held = [read_log(file, SPLIT) for file in files]
    logs = index_logs(files, SPLIT, tmp_path / "cache")
    tokens = frozenset(frame.token for log in held for frame in log.frames[::2]) | {"f" * 16}
    for asked in (wanted, SceneFilter(**{**wanted.__dict__, "tokens": tokens})):
        theirs, ours = search_scenes(held, asked), search_scenes(logs, asked)
        assert [(s.log.name, s.index, s.token) for s in ours.scenes] == [
            (s.log.name, s.index, s.token) for s in theirs.scenes
        ]
        assert ours.lost == theirs.lost
        for one, other in zip(theirs.scenes, ours.scenes, strict=True):
            assert [f and f.token for f in one.history] == [f and f.token for f in other.history]
            assert [f.token for f in one.future] == [f.token for f in other.future]


def test_no_log_is_read_for_what_the_index_knows(files, tmp_path, reads):
    index_logs(files, SPLIT, tmp_path / "cache")
    assert reads == ["even", "gap"]
    scenes = find_scenes(index_logs(files, SPLIT, tmp_path / "cache"), SceneFilter(require_full_history=False))
    for scene in scenes:
        assert scene.defect is None
        assert [frame.pose.shape for frame in scene.future] == [(3,)] * 10
        assert scene.current.command.sum() == 1
        assert scene.current.annotated
        assert scene.current.map_location
    assert reads == ["even", "gap"]
    assert all(scene.current.boxes is not None for scene in scenes)
    assert reads == ["even", "gap"] * 2, "log by log each is read once"


def test_only_a_log_whose_file_changed_is_read_again(files, tmp_path, reads):
    index_logs(files, SPLIT, tmp_path / "cache")
    del reads[:]
    write_log(files[1], make_log(np.arange(15) * 0.5, name="gap").frames)
    logs = index_logs(files, SPLIT, tmp_path / "cache")
    assert reads == ["gap"]
    assert [len(log.frames) for log in logs] == [30, 15]


def test_a_log_that_changes_while_it_is_in_use_is_no_longer_read(files, tmp_path):
    log, _ = index_logs(files, SPLIT, tmp_path / "cache")
    write_log(files[0], make_log(np.arange(15) * 0.5, name="even").frames)
    with pytest.raises(UserError, match=r"even\.pkl: was changed while it was in use"):
        _ = log.frames[0].boxes


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "gone", "other rows"])
@pytest.mark.parametrize("name", ["rows.npy", "logs.json", "even.npz"])
def test_a_damaged_index_is_made_anew(files, tmp_path, name, damage):
    before = [len(log.frames) for log in index_logs(files, SPLIT, tmp_path / "cache")]
    (file,) = (tmp_path / "cache").rglob(name)
    if name == "even.npz":  # it is looked at when the list of logs is another one
        (rows,) = (tmp_path / "cache").rglob("rows.npy")
        rows.unlink()
    if damage == "gone":
        file.unlink()
    elif damage == "other rows" and name == "rows.npy":
        np.save(file, np.zeros(54, [("token", "S16")]))
    else:
        file.write_bytes({"empty": b"", "cut": file.read_bytes()[:-9]}.get(damage, b"{}" * 300))
    logs = index_logs(files, SPLIT, tmp_path / "cache")
    assert [len(log.frames) for log in logs] == before
    assert logs[0].frames[3].token == read_log(files[0], SPLIT).frames[3].token


@pytest.mark.parametrize("name", ["rows.npy", "logs.json"])
def test_a_flipped_bit_is_noticed_and_said(files, tmp_path, name, capsys):
    index_logs(files, SPLIT, tmp_path / "cache")
    (file,) = (tmp_path / "cache").rglob(name)
    rows = [log.columns.rows.copy() for log in index_logs(files, SPLIT, tmp_path / "cache")]
    for place in (-200, -90, -41, -5):
        whole = bytearray(file.read_bytes())
        whole[place] ^= 0x01
        file.write_bytes(whole)
        for log, before in zip(index_logs(files, SPLIT, tmp_path / "cache"), rows, strict=True):
            same(log.columns.rows, before)
        assert "was damaged: it is joined anew" in capsys.readouterr().out


def test_an_index_of_the_version_before_is_read(files, tmp_path, monkeypatch):
    """It has no checksum."""
    index_logs(files, SPLIT, tmp_path / "cache")
    (file,) = (tmp_path / "cache").rglob("logs.json")
    content = json.loads(file.read_text())
    del content["crc32"]
    file.write_text(json.dumps(content))
    monkeypatch.setattr(logs, "_join", lambda *_: pytest.fail("made anew"))
    assert len(index_logs(files, SPLIT, tmp_path / "cache")) == 2


def test_an_index_of_another_list_is_not_taken_for_this_one(files, tmp_path, capsys):
    index_logs(files, SPLIT, tmp_path / "cache")
    (whole,) = {path.parent for path in (tmp_path / "cache").rglob("rows.npy")}
    (alone,) = index_logs(files[1:], SPLIT, tmp_path / "cache")
    expected = alone.columns.rows.copy()
    (other,) = {path.parent for path in (tmp_path / "cache").rglob("rows.npy")} - {whole}
    for path in whole.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (again,) = index_logs(files[1:], SPLIT, tmp_path / "cache")
    same(again.columns.rows, expected)
    assert "was damaged: it is joined anew" in capsys.readouterr().out


def replaced(file: Path) -> None:
    """By another log of the same name, size and time."""
    state = file.stat()
    write_log(file, [replace(frame, pose=frame.pose + 0.5) for frame in read_log(file, SPLIT).frames])
    assert file.stat().st_size == state.st_size
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_log_of_the_same_size_and_time_is_told_by_its_hash(files, tmp_path, reads):
    log, _ = index_logs(files, SPLIT, tmp_path / "cache")
    replaced(files[0])
    with pytest.raises(UserError, match=r"even\.pkl: holds something else than the log of its name, size and time"):
        _ = log.frames[0].boxes
    index_logs(files, SPLIT, tmp_path / "cache")
    with pytest.raises(UserError, match=r"even\.pkl: holds something else .*: `touch` it and start again"):
        index_logs(files, SPLIT, tmp_path / "cache", recheck=True)
    os.utime(files[0])
    (log, _), expected = index_logs(files, SPLIT, tmp_path / "cache", recheck=True), read_log(files[0], SPLIT)
    same(log.columns.rows, columns_of(expected).rows)
    assert log.frames[0].boxes is not None


@pytest.mark.parametrize("time_ns", [-(10**18), 4 * 10**18])
def test_clocks_that_jump(files, tmp_path, reads, time_ns):
    """A time before 1970, one in the future: another one is all that counts. Back at the first, nothing is read."""
    index_logs(files, SPLIT, tmp_path / "cache")
    del reads[:]
    before = files[0].stat().st_mtime_ns
    for stamp in (time_ns, before):
        os.utime(files[0], ns=(stamp, stamp))
        for _ in range(2):
            log, _ = index_logs(files, SPLIT, tmp_path / "cache", recheck=True)
            assert reads == ["even"]
    assert log.frames[3].sensor_files == read_log(files[0], SPLIT).frames[3].sensor_files


def test_what_an_index_lacks_that_may_not_be_written_is_read(files, tmp_path, reads, monkeypatch, capsys):
    index_logs(files[:1], SPLIT, tmp_path / "cache")
    monkeypatch.setattr("wotempo.navsim.index.logs.locked", lambda *_, **__: pytest.fail("nothing can be written"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = index_logs(files, SPLIT, tmp_path / "cache")
    assert reads == ["even", "gap"]
    assert "lacks 1 of 2 logs and may not be written: they are read at every start" in capsys.readouterr().out
    assert [log.name for log in found] == ["even", "gap"]
    assert found[1].frames[3].boxes is not None
    index_logs(files[:1], SPLIT, tmp_path / "cache")
    assert capsys.readouterr().out == ""


def test_a_scene_travels_as_a_path(files, tmp_path, reads):
    scene = find_scenes(index_logs(files, SPLIT, tmp_path / "cache"), SceneFilter())[5]
    sent = pickle.dumps(scene)
    assert len(sent) < 1000
    there = pickle.loads(sent)
    assert reads == ["even", "gap"], "not before something of it is needed"
    assert there.token == scene.token
    same(scene.current.boxes, there.current.boxes)
    frame = pickle.loads(pickle.dumps(scene.current))
    assert frame.token == scene.token


def test_an_error_of_a_log_names_it_and_keeps_what_was_read(files, tmp_path, reads):
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[:100])
    with pytest.raises(UserError, match=r"gap\.pkl"):
        index_logs(files, SPLIT, tmp_path / "cache")
    files[1].write_bytes(whole)
    del reads[:]
    index_logs(files, SPLIT, tmp_path / "cache")
    assert reads == ["gap"]


def test_a_whole_index_is_read_where_nothing_can_be_written(files, tmp_path, reads, monkeypatch):
    index_logs(files, SPLIT, tmp_path / "cache")
    monkeypatch.setattr("wotempo.navsim.index.logs.locked", lambda *_, **__: pytest.fail("no lock is needed"))
    index_logs(files, SPLIT, tmp_path / "cache")


def test_looking_alone_writes_nothing(files, tmp_path, reads):
    looked = index_logs(files, SPLIT, tmp_path / "cache", keep=False)
    assert reads == ["even", "gap"]
    assert not (tmp_path / "cache").exists()
    kept = index_logs(files, SPLIT, tmp_path / "cache")
    for one, other in zip(looked, kept, strict=True):
        same(one.columns.rows, other.columns.rows)
        assert one.frames[3].sensor_files == other.frames[3].sensor_files
    del reads[:]
    assert [log.content for log in index_logs(files, SPLIT, tmp_path / "cache", keep=False)] == [
        log.content for log in kept
    ]
    part = index_logs(files[:1], SPLIT, tmp_path / "cache", keep=False)  # of these there is no table, but a digest
    assert part[0].frames[3].sensor_files == kept[0].frames[3].sensor_files
    assert reads == []


def _index(files: list[Path], folder: Path, counts: Path, begin) -> None:
    def counted(path: Path, split: str) -> Log:
        with counts.open("a") as file:
            file.write(f"{path.stem}\n")
        return read_log(path, split)

    digest.read_log = counted
    begin.wait()
    index_logs(files, SPLIT, folder)


def test_of_several_processes_one_reads(files, tmp_path):
    context = multiprocessing.get_context("fork")
    begin, counts = context.Barrier(4), tmp_path / "reads"
    many = [context.Process(target=_index, args=(files, tmp_path / "many", counts, begin)) for _ in range(4)]
    for process in many:
        process.start()
    for process in many:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(counts.read_text().split()) == ["even", "gap"]
    index_logs(files, SPLIT, tmp_path / "one")
    one, other = ({f.name: f.read_bytes() for f in (tmp_path / n).rglob("*") if f.is_file()} for n in ("one", "many"))
    assert one == other


def test_defects_and_places_are_those_of_the_log(files, tmp_path):
    log = read_log(files[0], SPLIT)
    log.frames[4].velocity[:] = np.nan
    log.frames[7].command[:] = [1, 1, 0, 0]
    write_log(files[0], log.frames)
    whole, found = read_log(files[0], SPLIT), index_logs(files[:1], SPLIT, tmp_path / "cache")[0]
    assert [frame.defect for frame in found.frames] == [frame.defect for frame in whole.frames]
    assert sum(frame.defect is not None for frame in found.frames) == 2
    same(whole.frames[7].command, found.frames[7].command)
    assert Scene(found, 8).defect == Scene(whole, 8).defect != None  # noqa: E711
    assert os.stat(files[0]).st_mtime_ns == found.stamp.mtime_ns


def test_missing_and_empty_logs_are_counted(tmp_path):
    folder = tmp_path / "mini"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.pkl").write_bytes(b"")
    (folder / "a.pkl").write_bytes(b"x")
    (folder / "d.pkl").symlink_to(folder / "nowhere.pkl")
    with pytest.raises(
        UserError, match=r"1 of 4 log files are missing, first d.pkl; 2 of 4 .* empty \(0 bytes\), first b"
    ):
        index_logs(sorted(folder.iterdir()), "mini", tmp_path / "cache")
