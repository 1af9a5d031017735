"""Faulty stages: what published or earlier code got wrong beside the warp (for those see tests/helpers/mutants.py)."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from wotempo.fusion import TemporalFusion

Args = tuple[Tensor, Tensor, Tensor, Tensor]


def _fed(stage: TemporalFusion, feed: Callable[..., Args]) -> TemporalFusion:
    """``stage`` whose ``forward`` is given the changed window."""
    forward = stage.forward
    stage.forward = lambda *args: forward(*feed(*args))  # type: ignore[method-assign]
    return stage


def history_reversed(stage):
    """Frames gathered by ``insert(0, …)``: newest first under poses that are oldest first."""
    return _fed(stage, lambda bev, pose, dt, valid: (torch.cat((bev[:, :-1].flip(1), bev[:, -1:]), 1), pose, dt, valid))


def history_detached(stage):
    return _fed(
        stage, lambda bev, pose, dt, valid: (torch.cat((bev[:, :-1].detach(), bev[:, -1:]), 1), pose, dt, valid)
    )


def missing_frames_faked(stage):
    """Missing frames passed off as valid ones."""
    return _fed(stage, lambda bev, pose, dt, valid: (bev, pose, dt, torch.ones_like(valid)))


def oldest_frame_forgotten(stage):
    return _fed(stage, lambda bev, pose, dt, valid: (bev[:, 1:], pose[:, 1:], dt[:, 1:], valid[:, 1:]))


def samples_mixed(stage):
    """``stack(...).reshape`` on the wrong axes: BEVFormer's temporal attention with more than one sample (issue 96)."""

    def feed(bev, pose, dt, valid):
        past = bev[:, :-1].transpose(0, 1).reshape(bev[:, :-1].shape)
        return torch.cat((past, bev[:, -1:]), 1), pose, dt, valid

    return _fed(stage, feed)


def poses_changed_in_place(stage):
    """``shift_ref_2d`` aliasing ``ref_2d`` (BEVFormer): the caller's tensor is shifted."""

    def feed(bev, pose, dt, valid):
        pose[..., 0] += 0.5
        return bev, pose, dt, valid

    return _fed(stage, feed)


def poses_in_half_precision(stage):
    return _fed(stage, lambda bev, pose, dt, valid: (bev, pose.bfloat16().to(pose.dtype), dt, valid))


def mask_ignored(stage):
    """Every cell of a valid frame taken as seen, zero padding included."""
    warp = stage.warp_history

    def warp_history(bev, pose, valid, grid=None):
        aligned, mask = warp(bev, pose, valid, grid)
        return aligned, valid[:, :, None, None, None].expand_as(mask)

    stage.warp_history = warp_history
    return stage


def output_replaced(stage):
    """The recurrent state handed on instead of a gated residual: a tanh-bounded map for heads trained on features."""
    forward = stage.forward
    stage.forward = lambda bev, pose, dt, valid: forward(bev, pose, dt, valid) - bev[:, -1]
    return stage


def state_left_behind(stage):
    """The last window's output kept in the module and mixed into the next."""
    forward, memory = stage.forward, []

    def remembering(*args):
        fused = forward(*args)
        mixed = fused + 0.1 * memory[-1] if memory and memory[-1].shape == fused.shape else fused
        memory.append(fused.detach())
        return mixed

    stage.forward = remembering
    return stage


def carried_state_not_moved(stage):
    """Driving with the buffer's poses left where they were."""
    step = stage.step
    stage.step = lambda state, bev, pose, dt, valid: step(state, bev, torch.zeros_like(pose), dt, valid)
    return stage


def step_inverted(stage):
    """The new frame's pose in the old one taken for the old one's in the new."""
    step = stage.step
    stage.step = lambda state, bev, pose, dt, valid: step(state, bev, -pose, dt, valid)
    return stage


# Each with a property that must see it.
FAULTS: dict[Callable[[TemporalFusion], TemporalFusion], str] = {
    history_reversed: "own warp",
    history_detached: "gradient",
    missing_frames_faked: "no history",
    oldest_frame_forgotten: "gradient",
    samples_mixed: "batch",
    poses_changed_in_place: "pure",
    poses_in_half_precision: "own warp",
    mask_ignored: "no history",
    output_replaced: "starts as none",
    state_left_behind: "pure",
    carried_state_not_moved: "ring stream",
    step_inverted: "ring stream",
}


def faulty(stage: TemporalFusion, fault: Callable[[TemporalFusion], TemporalFusion]) -> TemporalFusion:
    """``stage`` of a class whose every copy is faulty: properties copy what they are given."""

    sound = type(stage)

    class Faulty(sound):  # type: ignore[misc, valid-type]
        def __deepcopy__(self, memo):
            self.__class__ = sound
            twin = copy.deepcopy(self, memo)
            self.__class__ = Faulty
            return fault(twin)

    stage.__class__ = Faulty
    return stage
