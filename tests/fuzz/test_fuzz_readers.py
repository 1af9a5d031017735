"""No damaged file ends in a traceback, a signal, a hang or a full memory; `make study NAME=fuzz` tries more of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_run import FAULTS, GOOD, counted, fuzz, table
from fuzz_targets import TARGETS
from fuzz_toys import TOYS
from fuzz_worker import UNDAMAGED, damaged, settled

INPUTS = 16  # of each reader, times its pace: some 25 s of CPU with the start of the process


def test_what_readers_do_to_damaged_files(tmp_path: Path) -> None:
    """A value, or one sentence that names the file; their valid files give a value."""
    valid = [(target.name, UNDAMAGED) for target in TARGETS]
    damaged_ones = [(t.name, n) for t in TARGETS for n in range(max(2, int(INPUTS * t.pace)))]
    results = list(fuzz(tmp_path, valid + damaged_ones))
    refused = [target for target, number, kind, _ in results if number == UNDAMAGED and kind != "value"]
    assert refused == ["PNG named as JPEG"]
    found = counted(results)
    assert [detail for counts in found.values() for detail in counts.details] == []
    assert sum(counts.ended["refused"] for counts in found.values()) > len(damaged_ones) / 4, table(found)


@pytest.mark.parametrize("toy", TOYS)
def test_each_fault_is_seen_as_what_it_is(tmp_path: Path, toy: str) -> None:
    (_, _, kind, detail), (*_, again, _) = fuzz(tmp_path, [(toy, 0), ("refused", 0)], "fuzz_toys", cpu_seconds=3.0)
    assert kind == toy.partition(",")[0], detail
    assert again == "refused", "the next file is read nevertheless"
    assert kind in (*GOOD, *FAULTS)


@pytest.mark.parametrize("target", [target for target in TARGETS if target.name in ("anchors", "scene filter", "log")])
def test_a_number_names_one_file(tmp_path: Path, target) -> None:
    home, name = settled(target, tmp_path)
    files = [damaged(target, number, home / name) for number in range(12)]
    assert files == [damaged(target, number, home / name) for number in range(12)]
    assert len(set(files)) > 10
