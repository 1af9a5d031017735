"""What counts the ends of damaged files counts each as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_run import FAULTS, GOOD, fuzz
from fuzz_targets import TARGETS
from fuzz_toys import TOYS
from fuzz_worker import damaged, settled


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
