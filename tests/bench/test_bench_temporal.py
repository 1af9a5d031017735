"""The bench of temporal costs, on a micro model: figures that do not depend on the machine are ordered as promised."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import pytest

from wotempo.fusion import STAGES

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    "none", "naive", "1 run of 8", "1 run of 8, no-grad", "1 run of 8, LiDAR-only", "2 runs of 4",
    "2 runs of 4, no-grad", "2 runs of 4, LiDAR-only", "4 runs of 2", "1 run of 8, no-grad, LiDAR-only, frozen BN",
    "1 run of 8, checkpointing", "1 run of 8, bf16",
]  # fmt: skip
QUICK = ["bench_temporal", "--quick", "--repeats", "1", "--threads", "1"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    # Processes that the bench starts find it, and what it takes from the tests, as `make bench` lets them.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")]))

    def measured(*arguments: str) -> dict[str, dict]:
        path = tmp_path / "found.json"
        monkeypatch.setattr(sys, "argv", [*QUICK, "--json", str(path), *arguments])
        runpy.run_module("scripts.bench.bench_temporal", run_name="__main__")
        return {line["row"]: line for line in json.loads(path.read_text())}

    return measured


@pytest.mark.slow
def test_ways_to_train(run, capsys):
    found = run("--parts", "rows", "--no-memory")
    assert list(found) == ROWS
    frames = {name: line["frames_per_sample"] for name, line in found.items()}
    assert [frames[name] for name in ("none", "1 run of 8", "2 runs of 4", "4 runs of 2", "naive")] == [
        1, 11 / 8, 14 / 8, 20 / 8, 4
    ]  # fmt: skip
    for figure in ("gmac", "saved_mb"):
        cost = {name: line[figure] for name, line in found.items()}
        packed = [cost[name] for name in ("none", "1 run of 8", "2 runs of 4", "4 runs of 2", "naive")]
        assert packed == sorted(packed)
        assert cost["1 run of 8, no-grad"] < cost["1 run of 8"]
        frozen = cost["1 run of 8, no-grad, LiDAR-only, frozen BN"]
        assert frozen < cost["1 run of 8, LiDAR-only"]
    assert found["1 run of 8, checkpointing"]["saved_mb"] < 0.5 * found["1 run of 8"]["saved_mb"]
    assert "time ≤ 1.35" in capsys.readouterr().out


def test_stages_and_streams(run):
    found = run("--parts", "stages", "streams", "--batch", "4", "--pushes", "1")
    stages = ["none", *(name for name in STAGES if name != "none")]
    assert list(found)[: len(stages)] == stages
    assert all(found[name]["gmac_ratio"] >= 1 for name in stages)
    assert found["push, none"]["gmac_ratio"] == 1
    assert found["push, ring buffer"]["gmac"] < found["push, ring buffer, LiDAR-only"]["gmac"]


def test_an_unknown_row_is_named(run):
    with pytest.raises(SystemExit, match="no row packed; there are none, naive"):
        run("--parts", "rows", "--only", "packed")


def test_peak_memory_is_of_a_process_of_its_own(run):
    found = run("--parts", "rows", "--batch", "4", "--only", "none")
    assert found["none"]["peak_mb"] > 0
