"""Latency is measured on pushes and single-frame passes that do their work."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from streams import drive_frames

from wotempo.errors import UserError
from wotempo.streaming.latency import Percentiles, latency, single_frame
from wotempo.streaming.planner import StreamingPlanner


def test_percentiles_are_milliseconds():
    values = Percentiles.of(np.arange(101) / 1000)
    assert (values.p50, values.p90, values.p99) == pytest.approx((50, 90, 99))


def test_both_sides_are_timed_in_turn_without_the_warmup(make_model, micro, monkeypatch):
    planner = StreamingPlanner(make_model(stage="convgru", num_frames=3).eval())
    order, push, encode = [], planner.push, planner.model.encode
    clock = iter(np.arange(0.0, 100.0, 0.5))

    def pushed(frame):
        order.append("push")
        next(clock)  # a push lasts a second, the single frame half of one
        return push(frame)

    monkeypatch.setattr(planner, "push", pushed)
    monkeypatch.setattr(planner.model, "encode", lambda *x: order.append("encode") or encode(*x))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    found = latency(planner, drive_frames(micro, 5), warmup=1)
    assert found.push.p50 == pytest.approx(1000)
    assert found.single_frame.p99 == pytest.approx(500)
    assert found.ratio == pytest.approx(2)
    assert found.paired == pytest.approx(2)
    one, other = ["encode", "push", "encode"], ["push", "encode", "encode"]
    assert order == one + other + one + other + one
    with pytest.raises(UserError, match="leave none"):
        latency(planner, drive_frames(micro, 3), warmup=3)


def test_single_frame_is_the_planner_of_the_stage_none(make_model, micro):
    model = make_model().eval()
    for frame in drive_frames(micro, 2, streams=2):
        assert torch.equal(single_frame(model, frame), StreamingPlanner(model, streams=2).push(frame).trajectory)
