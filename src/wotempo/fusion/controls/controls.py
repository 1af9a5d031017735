"""Controls of an ablation: altered windows that a stage must beat before its gain counts as temporal.

Each alters the window of any stage, in training and in evaluation alike, and stands in the checkpoint as
``fusion.control``. A gain over ``none`` counts as temporal only where the stage beats its controls as well.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.controls.altered import AlteredFusion
from wotempo.geometry import inverse

Window = tuple[Tensor, Tensor, Tensor, Tensor]  # bev (B, T, C, H, W), pose (B, T, 3), dt (B, T), valid (B, T)


def repeat_current(bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
    """Every valid frame shows the current map at the current place: same parameters and compute, no history."""
    return bev[:, -1:].expand_as(bev), torch.zeros_like(pose), dt, valid


def no_warp(bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
    """History stays where it was recorded, as if the ego had not moved."""
    return bev, torch.zeros_like(pose), dt, valid


def shuffle_history(bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
    """The history frames, with their poses, in an order that means nothing; ages stay in place.

    The order is drawn from the poses (to the centimetre): a window is shuffled alike in every epoch and process.
    """
    place = torch.arange(1, pose.shape[1], device=pose.device)
    where = (100 * pose[:, :-1].masked_fill(~valid[:, :-1, None], 0.0)).round().double()
    mixed = torch.tensor([12.9898, 78.233, 37.719], dtype=where.dtype).to(where.device, non_blocking=True)
    number = (where * mixed).sum(-1) + place
    order = ((number.sin() * 43758.5453) % 1).argsort(1)  # the usual hash of graphics: without meaning, repeatable
    order = torch.cat((order, order.new_full((len(order), 1), pose.shape[1] - 1)), 1)
    sample = torch.arange(len(order), device=order.device)[:, None]
    return bev[sample, order], pose[sample, order], dt, valid[sample, order]


def stale_history(bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
    """The history of the previous sample of the batch, with its poses: the right kind of input, the wrong scene.

    A sample that is alone in its batch has no history, and a warning says so: evaluate with a batch of 2 or more.
    """
    if len(bev) == 1:
        warnings.warn("stale_history: a sample alone in its batch is left without history", stacklevel=2)
        return bev, pose, dt, torch.cat((torch.zeros_like(valid[:, :-1]), valid[:, -1:]), 1)

    def other(x: Tensor) -> Tensor:
        return torch.cat((x[:, :-1].roll(1, 0), x[:, -1:]), 1)

    return other(bev), other(pose), other(dt), other(valid)


def wrong_pose(bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
    """The inverse poses: right size, wrong direction. A stage that does not suffer does not use its warp."""
    return bev, inverse(pose), dt, valid


def pose_only(bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
    """History shows nothing but the mean of the current map in every cell. What is left is the shape of the part that
    the warp fills, which tells how far the ego has driven: zero padding leaks ego motion."""
    blank = bev[:, -1:].mean((3, 4), keepdim=True).expand_as(bev[:, :-1])
    return torch.cat((blank, bev[:, -1:]), 1), pose, dt, valid


CONTROLS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Window]] = {
    control.__name__: control
    for control in (repeat_current, no_warp, shuffle_history, stale_history, wrong_pose, pose_only)
}
_WARP = "control {} breaks the alignment on purpose"
_NOTHING = "control {} shows the stage no history, on purpose"
_SHUFFLED = "control {} moves frames from their place on purpose"
_STALE = "control {} shows another scene's history on purpose"
# Criteria that have nothing to say about a control; the others must hold.
UNJUDGED: dict[str, dict[str, str]] = {
    "repeat_current": {"warp_gain": _NOTHING, "gradient_flow": _NOTHING, "history_pays": _NOTHING},
    "no_warp": {"warp_gain": _WARP, "history_pays": _WARP},
    "shuffle_history": {"warp_gain": _SHUFFLED, "history_pays": _SHUFFLED},
    "stale_history": {"warp_gain": _STALE, "history_pays": _STALE},
    "wrong_pose": {"warp_gain": _WARP, "history_pays": _WARP},
    "pose_only": {"warp_gain": _NOTHING, "gradient_flow": _NOTHING, "history_pays": _NOTHING},
    "single_frame_wide": {"warp_gain": _NOTHING, "gradient_flow": _NOTHING, "history_pays": _NOTHING},
}


def unjudged(control: str) -> dict[str, str]:
    """Criterion -> why it is not judged under ``control``."""
    return {name: reason.format(control) for name, reason in UNJUDGED[control].items()}


class ControlledFusion(AlteredFusion):
    """``stage`` under the control of that name in ``CONTROLS``."""

    def __init__(self, stage: TemporalFusion, control: str) -> None:
        super().__init__(stage)
        self.control = control
        self.unjudged = unjudged(control)

    def altered(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Window:
        """See ``AlteredFusion``."""
        if valid.shape[1] == 1:
            return bev, pose, dt, valid
        return CONTROLS[self.control](bev, pose, dt, valid)
