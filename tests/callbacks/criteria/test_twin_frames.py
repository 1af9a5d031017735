"""Declared twin frames are no stuck sensors; others that repeat are."""

from __future__ import annotations

import pytest
import torch

from callbacks.criteria.sensors import TWINS, alive

PARTS = {"front camera": (0.0, 1.0)}


@pytest.mark.parametrize(("declared", "stuck"), [(False, 1), (True, 0)])
def test_a_repeated_frame_is_stuck_unless_it_is_a_twin(declared: bool, stuck: int) -> None:
    generator = torch.Generator().manual_seed(0)
    camera = torch.rand((3, 3, 16, 32), generator=generator) * 255
    lidar = torch.rand((3, 1, 16, 16), generator=generator) * 255
    camera[2], lidar[2] = camera[1], lidar[1]
    twin = torch.tensor([False, False, declared])
    counts = alive(camera, lidar, torch.full((3,), 5.0), PARTS, {}, twin)
    assert int(counts["stuck front camera"].sum()) == stuck
    assert int(counts["stuck lidar"].sum()) == stuck
    assert int(counts[TWINS].sum()) == int(declared)


def test_only_the_declared_frame_is_exempt() -> None:
    camera, lidar = torch.rand(3, 3, 16, 32) * 255, torch.rand(3, 1, 16, 16) * 255
    camera[1:], lidar[1:] = camera[:1], lidar[:1]
    counts = alive(camera, lidar, torch.full((3,), 5.0), PARTS, {}, torch.tensor([False, True, False]))
    assert counts["stuck lidar"].tolist() == [False, False, True]
