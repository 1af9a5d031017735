"""Poses must be those of a car that drove here: the usual ways to get them wrong."""

from __future__ import annotations

import math

import pytest
import torch
from toy_drive import drive, loader, make_batch, relative
from toy_run import STEPS, failing, judge, ten_guards

from callbacks import EgoMotionGuard
from callbacks.criteria.ego_motion import motion_faults


def global_poses(batch: dict, number: int) -> None:
    frame = torch.tensor([int(token[5:]) for token in batch["tokens"]])[:, None] + torch.arange(-3, 1)
    batch["pose"] = (drive()["pose"][frame.clamp(min=0)] + 1000.0).float() * batch["valid"][..., None]


def degrees(batch: dict, number: int) -> None:
    batch["pose"][..., 2] = torch.rad2deg(batch["pose"][..., 2])


def inverted(batch: dict, number: int) -> None:
    """The current frame in each history frame's axes: history at x > 0."""
    batch["pose"] = relative(batch["pose"], torch.zeros_like(batch["pose"]))


def swapped(batch: dict, number: int) -> None:
    batch["pose"] = batch["pose"][..., [1, 0, 2]]


def pixels(batch: dict, number: int) -> None:
    batch["pose"][..., :2] /= 4


def wrong_heading(batch: dict, number: int) -> None:
    """Angles of another axis convention: 90° off except in the current frame."""
    batch["pose"][:, :-1, 2] += math.pi / 2


def not_a_number(batch: dict, number: int) -> None:
    batch["pose"][0, 2, 0] = math.nan


def first_frame(batch: dict, number: int) -> None:
    """Relative to the oldest frame instead of the current one."""
    batch["pose"] = relative(batch["pose"][:, :1], batch["pose"])


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        (global_poses, "not at (0, 0, 0) of its own axes"),
        (first_frame, "not at (0, 0, 0) of its own axes"),
        (degrees, "degrees?"),
        (inverted, "history must lie behind, at x < 0"),
        (swapped, "moves across its own heading"),
        (pixels, "disagrees with the ego's speed"),
        (wrong_heading, "moves across its own heading"),
        (not_a_number, "poses are not finite"),
    ],
)
def test_wrong_poses_end_the_run(tmp_path, fault, finding):
    report, raised = judge(tmp_path, train=loader(STEPS, fault=fault))
    assert failing(report) == ["ego_motion"], report.card()
    assert (report.status, report.exit_code) == ("rejected", 17)
    assert finding in str(raised)
    assert raised.step <= 8


def test_noise_of_real_sensors_is_tolerated(tmp_path):
    generator = torch.Generator().manual_seed(0)

    def noisy(batch: dict, number: int) -> None:
        shape = batch["pose"][:, :-1].shape
        noise = torch.randn(shape, generator=generator) * torch.tensor([0.05, 0.05, 0.005])
        batch["pose"][:, :-1] += noise * batch["valid"][:, :-1, None]
        batch["speed"] *= 1 + 0.02 * torch.randn(batch["speed"].shape, generator=generator)

    report, raised = judge(tmp_path, train=loader(STEPS, fault=noisy))
    assert raised is None
    assert report.exit_code == 0, report.card()


def test_one_car_in_reverse_is_tolerated(tmp_path):
    def reversing(batch: dict, number: int) -> None:
        if number % 10 == 0:
            batch["pose"][0, :, 0] *= -1
            batch["pose"][0, :, 2] *= -1

    report, raised = judge(tmp_path, train=loader(STEPS, fault=reversing))
    assert raised is None
    assert report.guards[7].status == "pass", report.card()


def test_standing_still_proves_nothing(tmp_path):
    def parked(batch: dict, number: int) -> None:
        batch["pose"] *= 0
        batch["speed"] *= 0

    guards = ten_guards(ego_motion=EgoMotionGuard())
    report, raised = judge(tmp_path, train=loader(STEPS, fault=parked), guards=guards)
    assert raised is None
    assert guards[7].status == "inconclusive"
    assert "moving pairs of frames were seen" in guards[7].message
    assert report.exit_code in (16, 17)  # neither contents nor poses can be judged


def counts(batch: dict) -> dict[str, int]:
    return {name: int(value.sum()) for name, value in motion_faults(batch, 0.15).items()}


def test_degrees_in_a_gentle_curve_show_in_the_turn_alone():
    batch = make_batch([21, 22])
    assert counts(batch)["yaw"] == 0
    batch["pose"][..., 2] /= 5
    degrees(batch, 0)  # less than π, but a turn that no car makes in half a second
    assert (counts(batch)["yaw"] > 0, counts(batch)["heading"]) == (True, 0)


def test_frames_out_of_order_and_missing_frames_are_not_judged_here():
    batch = make_batch([1, 2])  # one and two frames of history
    assert counts(batch)["pairs"] == 3
    batch["timestamp_us"] = batch["timestamp_us"].flip(1)
    assert counts(batch)["pairs"] == 0
