"""The stage's own warp must make the past fit the present: wrong directions, axes, signs and scales do not."""

from __future__ import annotations

import pytest
import torch
from toy_drive import loader, relative
from toy_run import STEPS, ToyModule, failing, judge, warp

from callbacks import WarpGainGuard
from callbacks.measures.overlap import advantage, grown, summary


class Warps(ToyModule):
    """Aligns with poses that ``change`` falsified on the way."""

    def __init__(self, change):
        super().__init__()
        align = self.fusion.align
        self.fusion.align = lambda bev, pose, valid: align(bev, change(pose), valid)


@pytest.mark.parametrize(
    "change",
    [
        lambda pose: relative(pose, torch.zeros_like(pose)),
        lambda pose: pose[..., [1, 0, 2]],
        lambda pose: pose * torch.tensor([1.0, -1.0, -1.0]) * torch.tensor([-1.0, 1.0, 1.0]),
        lambda pose: pose * torch.tensor([4.0, 4.0, 1.0]),
        lambda pose: pose * 0,
        lambda pose: pose * torch.tensor([0.5, 0.5, 1.0]),
        lambda pose: pose * torch.tensor([0.85, 0.85, 1.0]),
        lambda pose: pose * torch.tensor([1.2, 1.2, 1.0]),
        lambda pose: pose * torch.tensor([1.0, 1.0, 0.0]),
        lambda pose: pose * torch.tensor([1.0, 1.0, 0.4]),
        lambda pose: pose.roll(1, 1),
    ],
    ids=["inverse", "axes", "signs", "scale", "none", "half", "short", "long", "no heading", "less heading", "frames"],
)
def test_wrong_warp_ends_the_run(tmp_path, change):
    report, raised = judge(tmp_path, Warps(change))
    assert failing(report) == ["warp_gain"], report.card()
    assert (report.status, report.exit_code) == ("rejected", 18)
    assert raised.step < STEPS


@pytest.mark.parametrize(("factor", "finding"), [(0.5, "a longer way than the poses say"), (1.2, "a shorter way")])
def test_wrong_scale_is_named(tmp_path, factor, finding):
    report, _ = judge(tmp_path, Warps(lambda pose: pose * torch.tensor([factor, factor, 1.0])))
    assert finding in report.reason


def test_ignored_heading_is_named(tmp_path):
    report, _ = judge(tmp_path, Warps(lambda pose: pose * torch.tensor([1.0, 1.0, 0.0])))
    assert "no turn than the poses say fits as well" in report.reason


def test_coarse_maps_of_the_stage_are_judged_at_their_own_resolution(tmp_path):
    class Coarse(ToyModule):
        def warp_history(self, maps, batch):
            small = torch.nn.functional.adaptive_avg_pool2d(maps.flatten(0, 1), 16)
            warped, mask = warp(small, batch["pose"].flatten(0, 1))
            return (warped * mask).unflatten(0, maps.shape[:2]), mask.unflatten(0, maps.shape[:2])

    report, raised = judge(tmp_path, Coarse())
    assert raised is None
    assert report.guards[8].status == "pass", report.guards[8].message


def test_stage_that_does_not_align_is_skipped(tmp_path):
    module = ToyModule()
    module.warp_history = lambda maps, batch: None
    report, _ = judge(tmp_path, module)
    assert report.guards[8].status == "skipped"
    assert report.exit_code == 0


def test_standing_ego_is_inconclusive(tmp_path):
    def parked(batch: dict, number: int) -> None:
        batch["pose"][:, :-1] *= 0.01

    guards = [WarpGainGuard(every=4)]
    report, _ = judge(tmp_path, train=loader(STEPS, fault=parked), guards=guards)
    assert guards[0].status == "inconclusive"
    assert "only 0 frames with enough ego motion" in guards[0].message
    assert report.exit_code == 18


def test_few_frames_are_judged_at_the_end(tmp_path):
    guards = [WarpGainGuard(every=16, frames=1000)]
    judge(tmp_path, guards=guards)
    assert guards[0].status == "pass"
    assert guards[0].details["against"]["nothing"]["frames"] < 40


def test_module_without_the_method_is_named(tmp_path):
    class Without(ToyModule):
        warp_history = property()

    guards = [WarpGainGuard()]
    judge(tmp_path, Without(), guards=guards)
    assert guards[0].message == "the module has no warp_history"


def sums(maps, ours, theirs, use) -> dict[str, float]:
    present, *both = (grown(each, maps.shape[-2:], maps.shape[-2:]) for each in (maps[:, -1:], ours[0], theirs[0]))
    found = advantage(present, (both[0], ours[1]), (both[1], theirs[1]), use)
    return summary({name: float(value.sum()) for name, value in found.items()})


def test_only_cells_that_both_have_seen_are_compared():
    maps = torch.zeros(1, 2, 1, 8, 8)
    maps[0, 1, 0, 2, 2:6] = 1  # the present
    warped = maps.clone()
    warped[0, 0] = maps[0, 1]
    warped[0, 0, 0, 6] = 1  # nonsense, in a row that was not seen
    everywhere, mask = torch.ones_like(maps, dtype=torch.bool), torch.ones_like(maps, dtype=torch.bool)
    mask[..., 5:, :] = False
    use = torch.tensor([[True, False]])
    found = sums(maps, (warped, mask), (maps, everywhere), use)
    assert (found["frames"], found["after"], found["before"], found["better"]) == (1, 1.0, 0.0, 1.0)
    assert sums(maps, (warped, everywhere), (maps, everywhere), use)["after"] < 0.6


def test_frames_seen_through_a_keyhole_are_not_compared():
    maps = torch.ones(1, 2, 1, 8, 8)
    mask = torch.zeros_like(maps, dtype=torch.bool)
    mask[..., :1, :] = True
    assert sums(maps, (maps, mask), (maps, mask), torch.tensor([[True, False]]))["frames"] == 0


def test_what_an_experiment_breaks_on_purpose_is_skipped_with_its_reason(tmp_path):
    module = Warps(lambda pose: 0 * pose)
    module.unjudged = {"warp_gain": "control no_warp breaks the alignment on purpose"}
    report, raised = judge(tmp_path, module)
    assert raised is None
    assert report.exit_code == 0
    assert [g.name for g in report.guards if g.status == "skipped"] == ["warp_gain"]
    assert report.guards[8].message == module.unjudged["warp_gain"]
