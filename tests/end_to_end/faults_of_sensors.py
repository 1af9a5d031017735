"""Sensors and poses of a real run, damaged: each function is given the run's own workspace and a monkeypatch."""

from __future__ import annotations

import torch
from faults_of_data import in_every_batch

SIDE = round(256 * 1088 / 4096)  # columns of a side camera in the picture of 256


def black_cameras(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["camera"].zero_())


def a_camera_twice(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["camera"][..., -SIDE:].copy_(batch["camera"][..., :SIDE]))


def the_future_in_the_status(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["status"][:, 6:].copy_(batch["trajectory"][:, -1, :2]))


def late_sensors(workspace, monkeypatch):
    from wotempo.data.frame_cache import FrameCache

    original = FrameCache.reader
    monkeypatch.setattr(FrameCache, "reader", lambda self, refs: original(self, [refs[0], *refs[:-1]]))


def headings_of_the_other_sign(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["pose"].mul_(torch.tensor([1.0, 1.0, -1.0])))


def side_cameras_swapped(workspace, monkeypatch):
    def swap(batch):
        left, right = batch["camera"][..., :SIDE].clone(), batch["camera"][..., -SIDE:].clone()
        batch["camera"][..., :SIDE], batch["camera"][..., -SIDE:] = right, left

    in_every_batch(monkeypatch, swap)


def pictures_mirrored(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["camera"].copy_(batch["camera"].flip(-1)))


def the_front_camera_stuck(workspace, monkeypatch):
    kept = []

    def stick(batch):
        kept.append(batch["camera"][:1, ..., SIDE:-SIDE].clone())
        batch["camera"][..., SIDE:-SIDE] = kept[0]

    in_every_batch(monkeypatch, stick)


def lidar_mirrored(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["lidar"].copy_(batch["lidar"].flip(-1)))


def lidar_empty(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["lidar"].zero_())


def no_command(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["status"][:, :4].zero_())


def speed_in_kilometres_an_hour(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["status"][:, 4:6].mul_(3.6))


def early_sensors(workspace, monkeypatch):
    from wotempo.data.frame_cache import FrameCache

    original = FrameCache.reader
    monkeypatch.setattr(FrameCache, "reader", lambda self, refs: original(self, [*refs[1:], refs[-1]]))


def poses_twice_as_far(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["pose"][..., :2].mul_(2.0))


SENSORS = [
    ("sensors", black_cameras, ()),
    ("sensors", a_camera_twice, ()),
    ("sensors", side_cameras_swapped, ()),
    ("sensors", pictures_mirrored, ()),
    ("sensors", the_front_camera_stuck, ("acceptance.history.policy=off",)),
    ("sensors", lidar_mirrored, ()),
    ("sensors", lidar_empty, ("experiment=baseline_1epoch",)),
    ("sensors", late_sensors, ("acceptance.history.policy=off",)),
    ("sensors", early_sensors, ("acceptance.history.policy=off",)),
    ("sensors", the_future_in_the_status, ()),
    ("sensors", no_command, ()),
    ("sensors", speed_in_kilometres_an_hour, ()),
    ("ego_motion", headings_of_the_other_sign, ("acceptance.warp_gain.policy=off",)),
    ("ego_motion", poses_twice_as_far, ()),
]
"""(criterion that is meant, fault, overrides)."""
