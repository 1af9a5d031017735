"""Cameras and LiDAR are held against the places of objects."""

from __future__ import annotations

import pytest
import torch
from test_acceptance_plan import planned
from toy_run import ToyModule, judge, statuses

from callbacks import SensorsGuard
from callbacks.criteria.sensors import implausible
from callbacks.measures.showing import contrast, dilated, integral, occupied


def test_healthy_sensors_pass(tmp_path):
    torch.manual_seed(0)
    guard, _ = planned(tmp_path, SensorsGuard(every=4))
    assert guard.status == "pass", guard.message
    assert {"camera mirrored", "camera left and right swapped", "lidar mirrored"} <= set(guard.details["ruled_out"])


def test_too_little_to_tell_is_open(tmp_path):
    torch.manual_seed(0)
    guard, _ = planned(tmp_path, SensorsGuard(every=4, min_frames=1000))
    assert guard.status == "inconclusive"


def test_without_annotation_it_is_skipped(tmp_path):
    report, _ = judge(tmp_path, ToyModule(), guards=[SensorsGuard()])
    assert statuses(report) == {"sensors": "skipped"}


def test_occupied_cells():
    lidar = torch.zeros(1, 20, 20)
    lidar[0, 5, 5] = 2
    places = torch.tensor([[[5.0, 5.0], [5.4, 6.4]], [[5.0, 5.0], [15.0, 15.0]], [[5.0, 5.0], [torch.nan, 1.0]]])
    found = occupied(dilated(lidar[None])[0], places)
    assert found[:2].tolist() == [1.0, 0.5]
    assert found[2].isnan()


def test_contrast_of_a_square():
    image = torch.full((3, 40, 40), 100.0)
    image[0, 10:20, 10:20] = 200.0
    hulls = torch.tensor([[10.0, 10, 20, 20], [25, 25, 35, 35], [10, 10, 12, 20], [torch.nan] * 4])
    found = contrast(integral(image[None])[0], hulls)
    assert found[0] == pytest.approx(100 / 255, rel=1e-5)
    assert found[1] < 0.01
    assert found[2:].isnan().all()


def test_a_status_of_no_car():
    good = [0.0, 1, 0, 0, 8.0, 0, 1.0, 0.5]
    rows = [
        good,
        [0, 1, 0, 0, 8, 0, 30, 5],
        [0, 1, 0, 0, 40, 0, 1, 0],
        [0.5, 0.5, 0, 0, 8, 0, 1, 0],
        [1, 1, 0, 0, 8, 0, 1, 0],
    ]
    assert implausible(torch.tensor(rows), torch.full((5,), 8.0)).tolist() == [False, True, True, True, True]
