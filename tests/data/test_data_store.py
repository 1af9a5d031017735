"""The record store alone, on records of a few bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from wotempo.data.build import PART_RECORDS, Task, build_records
from wotempo.data.store import RecordStore, Ref
from wotempo.errors import UserError

DTYPE = np.dtype([("number", "<i8"), ("bytes", "u1", (4, 3))])


def compute(number: int) -> np.ndarray:
    if number < 0:
        raise UserError(f"source {number} is broken")
    record = np.zeros((), DTYPE)
    record["number"] = number
    record["bytes"] = number % 251
    return record


def tasks(numbers, group="split/log", key="k") -> list[Task]:
    return [Task(group, f"token{number}", f"{key}{number}", number) for number in numbers]


def stored(store: RecordStore, wanted: list[Task]) -> list[int]:
    reader = store.reader([Ref(task.group, task.token) for task in wanted])
    records = [reader.read(i) for i in range(len(wanted))]
    assert all((record["bytes"] == record["number"] % 251).all() for record in records)
    return [int(record["number"]) for record in records]


def part_of(store: RecordStore, token: str, group="split/log") -> tuple[Path, int]:
    entry = store.index(group).entries[token]
    return store.root / group / entry.part, entry.row


def flip_byte(store: RecordStore, token: str) -> None:
    path, row = part_of(store, token)
    raw = bytearray(path.read_bytes())
    raw[len(raw) - (len(np.load(path)) - row) * DTYPE.itemsize] ^= 1
    before = path.stat()
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # clocks of file systems tick in milliseconds


@pytest.fixture
def store(tmp_path) -> RecordStore:
    return RecordStore(tmp_path, "things", "abc", DTYPE)


def test_a_second_build_re_uses_everything_and_touches_nothing(store):
    numbers = range(2 * PART_RECORDS + 5)
    heard = []
    report = build_records(store, tasks(numbers), compute, progress=lambda *news: heard.append(news))
    assert (report.built, report.reused) == (len(numbers), 0)
    assert heard[-1] == ("things", len(numbers), len(numbers))
    assert len(heard) == 3
    files = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    report = build_records(store, tasks(numbers), compute)
    assert (report.built, report.reused) == (0, len(numbers))
    assert files == {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    assert stored(store, tasks(numbers)) == list(numbers)


def test_new_records_come_as_a_new_part_and_readers_of_the_old_one_stay_right(store):
    build_records(store, tasks(range(5)), compute)
    early = store.reader([Ref("split/log", "token3")])
    report = build_records(store, tasks(range(8)), compute)
    assert (report.built, report.reused) == (3, 5)
    assert int(early.read(0)["number"]) == 3
    assert stored(store, tasks(range(8))) == list(range(8))


def test_a_changed_source_is_computed_anew(store):
    build_records(store, tasks(range(5)), compute)
    changed = [*tasks(range(4)), Task("split/log", "token4", "other", 40)]
    report = build_records(store, changed, compute)
    assert (report.built, report.reused) == (1, 4)
    assert stored(store, changed) == [0, 1, 2, 3, 40]


def test_a_damaged_record_is_found_and_only_it_rebuilt(store):
    build_records(store, tasks(range(5)), compute)
    flip_byte(store, "token2")
    report = build_records(store, tasks(range(5)), compute)
    assert (report.built, report.reused) == (1, 4)
    assert stored(store, tasks(range(5))) == list(range(5))
    report = build_records(store, tasks(range(5)), compute)
    assert (report.built, report.reused) == (0, 5)


def test_damage_that_left_the_time_stamp_is_found_by_reading(store):
    build_records(store, tasks(range(5)), compute)
    path, _ = part_of(store, "token2")
    before = path.stat()
    flip_byte(store, "token2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match=f"record 2 of {path} is damaged"):
        stored(store, tasks(range(5)))


@pytest.mark.parametrize(
    "damage", ["truncated", "gone", "foreign", "empty", "archive", "more values than bytes", "of objects"]
)
def test_a_broken_part_is_rebuilt(store, damage):
    build_records(store, tasks(range(5)), compute)
    path, _ = part_of(store, "token0")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "gone":
        path.unlink()
    elif damage == "empty":  # as a killed job or a full disk leaves it
        path.write_bytes(b"")
    elif damage == "archive":
        path.write_bytes(b"PK\x03\x04" + bytes(60))
    elif damage == "more values than bytes":
        path.write_bytes(path.read_bytes().replace(b"(5,)", b"(9,)"))
    elif damage == "of objects":
        np.save(path, np.array([{}] * 5), allow_pickle=True)
    else:
        np.save(path, np.zeros(7))
    with pytest.raises(UserError, match=path.name):
        stored(store, tasks(range(5)))
    assert build_records(store, tasks(range(5)), compute).built == 5
    assert stored(store, tasks(range(5))) == list(range(5))


BROKEN_INDICES = ["", "{", "[" * 100_000, "[1]", '{"version": 0}', '{"version": 1, "entries": 3, "parts": {}}'] + [
    json.dumps({"version": 1, "entries": {"token1": entry}, "parts": {}})
    for entry in ([1, 0, "k1", 0], ["../x", 0, "k1", 0], ["p", -1, "k1", 0], ["p", "0", "k1", 0], ["p", 0, "k1", 2**40])
]


@pytest.mark.parametrize("content", BROKEN_INDICES, ids=range(len(BROKEN_INDICES)))
def test_a_broken_index_is_written_anew(store, content):
    build_records(store, tasks(range(5)), compute)
    (store.root / "split/log/index.json").write_text(content)
    assert build_records(store, tasks(range(5)), compute).built == 5
    assert stored(store, tasks(range(5))) == list(range(5))


def test_an_index_that_names_wrong_rows_is_noticed(store):
    build_records(store, tasks(range(5)), compute)
    path = store.root / "split/log/index.json"
    raw = json.loads(path.read_text())
    raw["entries"]["token1"][1], raw["entries"]["token2"][1] = 2, 1
    path.write_text(json.dumps(raw))
    with pytest.raises(UserError, match="damaged"):
        stored(store, tasks(range(5)))


def test_a_failed_build_leaves_the_finished_parts_and_nothing_half_done(store):
    numbers = [*range(PART_RECORDS), -1]
    with pytest.raises(UserError, match="source -1 is broken"):
        build_records(store, tasks(numbers), compute)
    assert not [path for path in store.root.rglob(".*") if path.is_file()]
    assert build_records(store, tasks(range(PART_RECORDS)), compute).reused == PART_RECORDS


def test_other_parameters_are_another_folder(tmp_path, store):
    build_records(store, tasks(range(5)), compute)
    other = RecordStore(tmp_path, "things", "def", DTYPE)
    with pytest.raises(UserError, match="lacks 5 of 5"):
        stored(other, tasks(range(5)))
    assert build_records(other, tasks(range(5)), compute).built == 5


def test_missing_records_are_counted(store):
    build_records(store, tasks(range(5)), compute)
    with pytest.raises(UserError, match=r"lacks 2 of 7 records, first token5"):
        stored(store, tasks(range(7)))


def test_more_parts_than_may_be_open(store, monkeypatch):
    monkeypatch.setattr("wotempo.data.reader.OPEN_PARTS", 2)
    wanted = [task for g in range(5) for task in tasks(range(g, g + 3), group=f"split/log{g}")]
    build_records(store, wanted, compute)
    assert stored(store, wanted * 2) == [task.source for task in wanted] * 2
