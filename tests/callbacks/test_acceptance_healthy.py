"""Healthy runs are accepted: all ten criteria, single frame, gradient accumulation, noise, low precision."""

from __future__ import annotations

import json

from toy_drive import loader
from toy_run import STEPS, ToyModule, judge, statuses


def test_healthy_temporal_run_passes_all_ten(tmp_path):
    report, raised = judge(tmp_path)
    print(report.card())
    assert raised is None
    assert set(statuses(report).values()) == {"pass"}, report.card()
    assert (report.status, report.exit_code) == ("accepted", 0)


def test_single_frame_run_passes_six_and_skips_four(tmp_path):
    report, _ = judge(tmp_path, ToyModule(frames=1), loader(STEPS, 1))
    found = statuses(report)
    skipped = {name for name, status in found.items() if status == "skipped"}
    assert skipped == {"history", "ego_motion", "warp_gain", "gradient_flow"}
    assert {status for name, status in found.items() if name not in skipped} == {"pass"}, report.card()
    assert all("single frame" in guard.message for guard in report.guards if guard.name in skipped)
    assert report.exit_code == 0
    assert json.loads((tmp_path / "acceptance" / "verdict.json").read_text())["status"] == "accepted"
