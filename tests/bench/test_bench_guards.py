"""The bench of what criteria cost, on a micro model: it runs, counts every hook once, and shows the goal."""

from __future__ import annotations

import json
import runpy
import shutil
import sys

import pytest


@pytest.mark.slow
def test_it_runs(micro_workspace, tmp_path, monkeypatch, capsys):
    path = tmp_path / "found.json"
    workspace = shutil.copytree(micro_workspace, tmp_path / "workspace")
    arguments = ["--quick", "--threads", "1", "--workspace", str(workspace), "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["bench_guards", *arguments])
    runpy.run_module("scripts.bench.bench_guards", run_name="__main__")
    (found,) = json.loads(path.read_text())
    assert found["steps"] > 20
    assert found["share"] > 0
    assert 0 < found["share_cpu"] < 1  # of processor time: on a busy machine a hook can wait for long
    assert found["reads_later"] == 1  # one value per optimiser step
    assert {"finite", "warp_gain", "FailureRecorder", "AcceptanceReport"} <= set(found["by_guard_cpu_s"])
    assert "goal 3%" in capsys.readouterr().out
