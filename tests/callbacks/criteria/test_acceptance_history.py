"""History must be several frames, in order, of different content."""

from __future__ import annotations

import pytest
import torch
from toy_drive import loader
from toy_run import STEPS, ToyModule, failing, judge

from callbacks import HistoryGuard
from callbacks.criteria.history import history_faults


def reverse(batch: dict, number: int) -> None:
    for name in ("frame_index", "pose", "dt", "timestamp_us", "speed", "valid"):
        batch[name] = batch[name].flip(1)


def shuffle(batch: dict, number: int) -> None:
    """The ancestor's order: [2, 1, 0, 3]."""
    for name in ("frame_index", "pose", "dt", "timestamp_us", "speed", "valid"):
        batch[name] = batch[name][:, [2, 1, 0, 3]]


def repeat_current(batch: dict, number: int) -> None:
    batch["frame_index"] = batch["frame_index"][:, -1:].expand(-1, 4).clone()


def same_content(batch: dict, number: int) -> None:
    batch["lidar"] = batch["lidar"][:1].expand_as(batch["lidar"]).clone()


def wrong_clock(batch: dict, number: int) -> None:
    batch["dt"] = batch["dt"] * 0.2  # 10 Hz assumed, 2 Hz recorded


def lost(batch: dict, number: int) -> None:
    batch["valid"][:, :-1] &= torch.rand(batch["valid"][:, :-1].shape) < 0.2


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        (reverse, "timestamps do not increase"),
        (shuffle, "timestamps do not increase"),
        (repeat_current, "the same frame stands at two places"),
        (same_content, "sensor content of successive frames is identical"),
        (wrong_clock, "dt disagrees with the timestamps"),
    ],
)
def test_wrong_history_ends_the_run_at_the_first_batch(tmp_path, fault, finding):
    report, raised = judge(tmp_path, train=loader(STEPS, fault=fault))
    assert failing(report) == ["history"]
    assert (raised.step, report.exit_code) == (0, 16)
    assert finding in str(raised)


def test_fault_in_the_middle_is_found(tmp_path):
    def later(batch: dict, number: int) -> None:
        if number == 21:
            shuffle(batch, number)

    report, raised = judge(tmp_path, train=loader(STEPS, fault=later))
    assert failing(report) == ["history"]
    assert raised.step == 24  # the next reading of the counters


def test_fault_in_validation_is_found(tmp_path):
    report, raised = judge(tmp_path, val=loader(1, fault=reverse))
    assert failing(report) == ["history"]
    assert raised.step == STEPS


def test_single_frames_in_a_temporal_run(tmp_path):
    class One(ToyModule):
        num_frames = None
        is_temporal = True

    report, raised = judge(tmp_path, One(frames=1), loader(STEPS, 1), guards=[HistoryGuard()])
    assert failing(report) == ["history"]
    assert "1 frames per sample instead of at least 2" in str(raised)


def test_wrong_number_of_frames(tmp_path):
    report, raised = judge(tmp_path, guards=[HistoryGuard(num_frames=8)])
    assert failing(report) == ["history"]
    assert "4 frames per sample instead of 8" in str(raised)


def test_too_little_history_is_judged_at_the_end(tmp_path):
    torch.manual_seed(0)
    report, raised = judge(tmp_path, train=loader(STEPS, fault=lost))
    assert raised is None
    assert failing(report) == ["history"]
    assert report.guards[6].measured < 0.3
    assert report.exit_code == 16


def test_missing_field_is_named(tmp_path):
    def drop(batch: dict, number: int) -> None:
        del batch["timestamp_us"]

    guards = [HistoryGuard(allow_inconclusive=True)]
    judge(tmp_path, train=loader(4, fault=drop), val=loader(1, fault=drop), guards=guards)
    assert guards[0].status == "inconclusive"
    assert guards[0].message == "the batch has no field timestamp_us"


def tiny(valid: list[bool], stamps: list[int], index: list[int]) -> dict:
    stamp = torch.tensor([stamps])
    return {
        "valid": torch.tensor([valid]),
        "timestamp_us": stamp,
        "dt": (stamp[:, -1:] - stamp) / 1e6,
        "frame_index": torch.tensor([index]),
        "pose": torch.tensor([[[-5.0 * (len(valid) - 1 - i), 0, 0] for i in range(len(valid))]]),
        "speed": torch.full((1, len(valid)), 10.0),
        "lidar": torch.arange(4 * 8).reshape(4, 1, 2, 4).to(torch.uint8),
    }


def counts(batch: dict) -> dict[str, int]:
    return {name: int(value.sum()) for name, value in history_faults(batch, 0.5, 0.01, content=True).items()}


def test_order_is_judged_across_a_hole():
    second = 1_000_000
    fine = counts(tiny([True, False, True, True], [0, 0, 1 * second, 2 * second], [0, 1, 2, 3]))
    assert (fine["order"], fine["repeated"], fine["valid"]) == (0, 0, 2)
    swapped = tiny([True, False, True, True], [1 * second, 0, 0, 2 * second], [0, 1, 2, 3])
    assert counts(swapped)["order"] == 1


def test_stamps_of_missing_frames_are_ignored():
    second = 1_000_000
    batch = tiny([False, False, True, True], [9 * second, 8 * second, second, 2 * second], [0, 0, 0, 1])
    assert counts(batch)["order"] == counts(batch)["repeated"] == 0


def test_a_standing_ego_may_see_the_same_thing():
    batch = tiny([True] * 4, [0, 500_000, 1_000_000, 1_500_000], [0, 1, 2, 3])
    batch["lidar"] = batch["lidar"][:1].expand(4, 1, 2, 4)
    assert counts(batch)["identical"] == 3
    batch["speed"] *= 0
    assert counts(batch)["identical"] == 0
