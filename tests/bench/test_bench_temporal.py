"""The bench of temporal costs, on a micro model: figures that do not depend on the machine are ordered as promised."""

from __future__ import annotations

import json
import sys

import bench_temporal
import pytest
from temporal_rows import full_rows, stage_rows

BATCH = 8
QUICK = ["bench_temporal", "--quick", "--repeats", "1", "--threads", "1"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    def measured(*arguments: str) -> dict[str, dict]:
        path = tmp_path / "found.json"
        monkeypatch.setattr(sys, "argv", [*QUICK, "--json", str(path), *arguments])
        bench_temporal.main()
        return {line["row"]: line for line in json.loads(path.read_text())}

    return measured


@pytest.mark.slow
def test_ways_to_train(run, capsys):
    found = run("--parts", "rows", "--no-memory")
    assert list(found) == [row.name for row in full_rows(BATCH)]
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
    stages = [row.name for row in stage_rows()]
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
