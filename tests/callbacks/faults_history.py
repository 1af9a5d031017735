"""Faults of shapes and of history: frames, clocks, poses, alignment, gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from fault import BAD_STEP, Damage, Fault, around, field_of
from toy_drive import STEP, drive, relative
from toy_run import STEPS, ToyModule

from callbacks import WarpGainGuard

PER_FRAME = ("frame_index", "pose", "dt", "timestamp_us", "speed", "valid")


class Seeing(ToyModule):
    """Its contract names a camera and the mask of valid frames too."""

    def shape_contract(self, split: str) -> dict[str, str]:
        more = {"batch.camera": "F 3 16 32 uint8", "batch.valid": f"B {self.frames} bool"}
        return {**super().shape_contract(split), **more}


def camera(batch: dict[str, Any], number: int) -> None:
    batch["camera"] = batch["lidar"][:, :, :16, :32].repeat(1, 3, 1, 1)


def shape(name: str, what: str, how: Callable[[Any], Any], says: str) -> Fault:
    return Fault(what, "shapes", 0, says, module=Seeing, furnish=camera, damage=field_of(name, how))


def output(how: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda original, module, *arguments: how(original(*arguments)) if module.training else original(*arguments)


def bypassed(original: Any, module: Any, batch: Any) -> Any:
    """No hook of the stage is called."""
    bev = module.fusion.forward(module.gather(batch), batch["pose"], batch["valid"])
    return module.head(torch.cat((bev.mean((2, 3)), batch["status"] / 10), -1)).unflatten(1, (8, 3))


SHAPES = [
    shape("camera", "camera of another size", lambda x: x[..., :24], "batch.camera is"),
    shape("lidar", "LiDAR map of another size", lambda x: x[..., :32], "batch.lidar is"),
    shape("lidar", "LiDAR map of another dtype", lambda x: x.float(), "torch.float32, expected torch.uint8"),
    shape("pose", "pose without heading", lambda x: x[..., :2], "batch.pose is"),
    shape("pose", "pose in float64", lambda x: x.double(), "torch.float64, expected torch.float32"),
    shape("valid", "valid mask of another length", lambda x: x[:, 1:], "batch.valid is"),
    shape("trajectory", "target of a smaller batch", lambda x: x[:3], "batch.trajectory is"),
    Fault("validation batch transposed", "shapes", STEPS, "val: batch.lidar", "weights",
          validation=field_of("lidar", lambda x: x.transpose(0, 1))),
    Fault("fusion stage returns another number of channels", "shapes", 0, "fusion:out is",
          change=around("fusion.forward", output(lambda x: x[:, :5]))),
    Fault("fusion stage returns all frames", "shapes", 0, "fusion:out is",
          change=around("fusion.forward", output(lambda x: x[:, None]))),
    Fault("head returns another number of outputs", "shapes", 0, "head:out is",
          change=around("head.forward", output(lambda x: torch.cat((x, x[:, :3]), 1)))),
    Fault("fusion stage not called as a module", "shapes", 0, "was declared but never seen",
          change=around("forward", bypassed)),
]  # fmt: skip


def reordered(order: list[int]) -> Damage:
    def damage(batch: dict[str, Any], number: int) -> None:
        for name in PER_FRAME:
            batch[name] = batch[name][:, order]

    return damage


def at_batch(first: int, fault: Damage) -> Damage:
    return lambda batch, number: fault(batch, number) if number == first else None


def repeat_current(batch: dict[str, Any], number: int) -> None:
    batch["frame_index"] = batch["frame_index"][:, -1:].expand(-1, 4).clone()


def copies(batch: dict[str, Any], number: int) -> None:
    batch["lidar"] = batch["lidar"][:1].expand_as(batch["lidar"]).clone()


def numbers_of(batch: dict[str, Any]) -> torch.Tensor:
    return torch.tensor([int(token[5:]) for token in batch["tokens"]])


def maps_of(shift: Callable[[torch.Tensor], torch.Tensor]) -> Damage:
    """At the place of each history frame stands what the sensors saw at ``shift(its number)``, (B, T) -> (B, T)."""

    def damage(batch: dict[str, Any], number: int) -> None:
        frames = numbers_of(batch)[:, None] + torch.arange(-3, 1)
        frames[:, :-1] = shift(frames[:, :-1])
        batch["lidar"] = drive()["lidar"][frames.clamp(0, 95)].flatten(0, 1)
        batch["frame_index"] = torch.arange(frames.numel()).reshape(frames.shape)

    return damage


def from_the_future(batch: dict[str, Any], number: int) -> None:
    """Places -3 … -1 hold the frames +3 … +1, with their own clock and poses."""
    current = numbers_of(batch)
    frames = current[:, None] + torch.tensor([3, 2, 1, 0])
    batch["lidar"] = drive()["lidar"][frames].flatten(0, 1)
    batch["frame_index"] = torch.arange(frames.numel()).reshape(frames.shape)
    batch["pose"] = relative(drive()["pose"][current[:, None]], drive()["pose"][frames]).float()
    batch["speed"] = drive()["speed"][frames]
    batch["timestamp_us"] = (frames * STEP * 1e6).long()
    batch["dt"] = (current[:, None] - frames) * STEP
    batch["valid"] = torch.ones_like(batch["valid"])


def lost(batch: dict[str, Any], number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    batch["valid"][:, :-1] &= torch.rand(batch["valid"][:, :-1].shape, generator=generator) < 0.2


def without_speed(batch: dict[str, Any], number: int) -> None:
    del batch["speed"]


def history(name: str, damage: Damage, says: str, step: int = 0, **more: Any) -> Fault:
    return Fault(name, "history", step, says, damage=damage, **more)


ORDER = "timestamps do not increase"
HISTORY = [
    history("history reversed", reordered([3, 2, 1, 0]), ORDER),
    history("history in the order 2 1 0 3", reordered([2, 1, 0, 3]), ORDER),
    history("history shuffled in one batch", at_batch(BAD_STEP, reordered([2, 1, 0, 3])), ORDER, 24),
    history("history reversed in validation only", None, ORDER, STEPS, evidence="weights",
            validation=reordered([3, 2, 1, 0])),
    history("every place holds the current frame", repeat_current, "the same frame stands at two places"),
    history("every frame holds the same content", copies, "sensor content of successive frames is identical"),
    history("history from the future", from_the_future, ORDER),
    history("time stamps all equal", field_of("timestamp_us", lambda x: x[:, -1:].expand(-1, 4).clone()), ORDER),
    history("dt of another rate", field_of("dt", lambda x: 0.2 * x), "dt disagrees with the timestamps"),
    history("poses all equal", field_of("pose", lambda x: 0 * x), "the poses of successive frames are identical"),
    history("poses one frame late", field_of("pose", lambda x: torch.cat((x[:, 1:], x[:, -1:]), 1)),
            "the poses of successive frames are identical"),
    history("current frame marked as missing", field_of("valid", lambda x: x & (torch.arange(4) < 3)),
            "the last frame is not the current one"),
    history("too few valid frames", lost, "of the history frames exist", STEPS, evidence="none", ranks="all"),
    history("batches lack a field", without_speed, "the batch has no field speed", STEPS, evidence="none"),
]  # fmt: skip


def pose(name: str, damage: Damage, says: str, step: int = 0, **more: Any) -> Fault:
    return Fault(name, "ego_motion", step, says, damage=damage, **more)


def times(x: float, y: float, heading: float) -> Damage:
    return field_of("pose", lambda pose: pose * torch.tensor([x, y, heading]))


def global_poses(batch: dict[str, Any], number: int) -> None:
    frame = numbers_of(batch)[:, None] + torch.arange(-3, 1)
    batch["pose"] = (drive()["pose"][frame.clamp(min=0)] + 1000.0).float() * batch["valid"][..., None]


def turned(batch: dict[str, Any], number: int) -> None:
    batch["pose"][:, :-1, 2] += math.pi / 2


def nan_pose(batch: dict[str, Any], number: int) -> None:
    batch["pose"][0, 2, 0] = math.nan


IDENTITY = "not at (0, 0, 0) of its own axes"
EGO_MOTION = [
    pose("poses in global axes", global_poses, IDENTITY),
    pose("poses relative to the oldest frame", field_of("pose", lambda p: relative(p[:, :1], p)), IDENTITY),
    pose("poses inverted", field_of("pose", lambda p: relative(p, torch.zeros_like(p))), "history must lie behind", 8),
    pose("translation with reversed sign", times(-1, -1, 1), "history must lie behind", 8),
    pose("pose axes swapped", field_of("pose", lambda p: p[..., [1, 0, 2]]), "moves across its own heading", 8),
    pose("poses of two frames swapped", field_of("pose", lambda p: p[:, [1, 0, 2, 3]]), "history must lie behind", 8),
    pose("poses in cells instead of metres", times(0.25, 0.25, 1), "disagrees with the ego's speed", 8),
    pose("headings in degrees", field_of("pose", lambda p: p * torch.tensor([1, 1, 180 / math.pi])), "degrees?"),
    pose("headings turned by 90°", turned, "moves across its own heading", 8),
    pose("pose NaN in one sample", nan_pose, "poses are not finite"),
]  # fmt: skip


def aligned_with(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """The stage's own warp gets other poses than the batch has."""
    return around("fusion.align", lambda original, module, bev, pose, valid: original(bev, change(pose), valid))


def scaled(x: float, y: float, heading: float) -> Callable[[Any], None]:
    return aligned_with(lambda pose: pose * torch.tensor([x, y, heading]))


def warp(name: str, says: str, step: int = 20, **more: Any) -> Fault:
    return Fault(name, "warp_gain", step, says, **more)


FITS = "IoU"
WARP = [
    warp("warp transposed", FITS, change=aligned_with(lambda p: p[..., [1, 0, 2]])),
    warp("warp inverse", FITS, change=aligned_with(lambda p: relative(p, torch.zeros_like(p)))),
    warp("warp disabled", FITS, change=scaled(0, 0, 0)),
    warp(
        "warp along the wrong sign of y",
        "the other side",
        STEPS,
        change=scaled(1, -1, 1),
        evidence="none",
        guards=lambda guilty: {"warp_gain": WarpGainGuard(every=1, frames=1000)},
    ),
    warp("warp by half of the way", "a longer way", change=scaled(0.5, 0.5, 1)),
    warp("warp without heading", "no turn", change=scaled(1, 1, 0)),
    warp("warp with the poses of other frames", FITS, change=aligned_with(lambda p: p.roll(1, 1))),
    warp("poses mirrored left to right", FITS, damage=times(1, -1, -1)),
    warp("sensors of the future at the times of the past", FITS, damage=maps_of(lambda f: f + 6)),
    warp("history of another drive", FITS, damage=maps_of(lambda f: (f + 48) % 96)),
]


def cut(places: slice) -> Callable[[Any], None]:
    def forward(original: Any, module: Any, bev: Any, *rest: Any) -> Any:
        bev = bev.clone()
        bev[:, places] = bev[:, places].detach()
        return original(bev, *rest)

    return around("fusion.forward", forward)


def encoded_without_gradient(original: Any, module: Any, batch: Any) -> Any:
    """The usual trick to save memory."""
    with torch.no_grad():
        past = original(batch)
    now = module.encode(batch["lidar"][batch["frame_index"][:, -1]])
    return torch.cat((past[:, :-1], now[:, None]), 1)


def ignored(original: Any, module: Any, bev: Any, *rest: Any) -> Any:
    return bev[:, -1] + 0 * original(bev, *rest)


def gap(batch: dict[str, Any], number: int) -> None:
    batch["valid"][0, 1] = False


def unmasked(original: Any, module: Any, bev: Any, pose: Any, valid: Any) -> Any:
    return original(bev, pose, torch.ones_like(valid))


def gradient(name: str, says: str, step: int, change: Callable[[Any], None], **more: Any) -> Fault:
    return Fault(name, "gradient_flow", step, says, change=change, **more)


GRADIENT = [
    gradient("gradient to history cut in the stage", "gradient reaches", 21, cut(slice(0, -1))),
    gradient("gradient to the oldest frame cut", "gradient reaches", 21, cut(slice(0, 1))),
    gradient("history encoded without gradient", "cut off from the encoder", 2,
             around("gather", encoded_without_gradient)),
    gradient("stage ignores its history", "gradient reaches", 21, around("fusion.forward", ignored)),
    gradient("gradient into missing frames", "frames that are not valid get gradient", 2,
             around("fusion.align", unmasked), furnish=gap),
]  # fmt: skip
FAULTS = [*SHAPES, *HISTORY, *EGO_MOTION, *WARP, *GRADIENT]
