"""Criterion 9: the stage's own alignment makes the past fit the present better than doing nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from callbacks.guard import Guard, Policy, Status
from callbacks.protocol import missing_fields
from callbacks.tally import Tally

SEEN = 0.25
"""Smallest share of cells inside the mask for a comparison to mean something."""


class WarpGainGuard(Guard):
    """Feeds the LiDAR maps of live batches to ``pl_module.warp_history`` and compares occupied cells with the current
    map: overlap (IoU) after the warp minus overlap without it, over the same cells, for history frames from which the
    ego moved at least ``moving`` metres. Cells are dilated by one, so that a bilinear half-cell shift does not
    count.

    Passes if the mean gain is at least ``min_gain`` beyond its own uncertainty (two standard errors) and at least
    ``min_share`` of the frames gain. Decided as soon as ``frames`` were compared: a wrong warp ends the run early.

    Args:
        min_gain: smallest mean gain in IoU.
        min_share: smallest share of compared frames that gain.
        frames: comparisons for a verdict; with fewer than ``min_frames`` at the end it is inconclusive.
        every: batches between two measurements.
        moving: metres between a history frame and the current one.
    """

    name = "warp_gain"
    number = 9
    exit_code = 18
    unit = "IoU gained"
    hint = "Check direction (history in the current axes), axis order, sign and scale of the pose given to the warp."
    needs_history = True
    reads = ("lidar", "frame_index", "valid", "pose")

    def __init__(
        self,
        min_gain: float = 0.02,
        min_share: float = 0.6,
        frames: int = 128,
        min_frames: int = 16,
        every: int = 10,
        moving: float = 2.0,
        policy: Policy = "fail",
        allow_inconclusive: bool = False,
    ) -> None:
        super().__init__(policy, allow_inconclusive)
        self.limit = min_gain
        self.min_share = min_share
        self.frames = frames
        self.min_frames = min_frames
        self.every = every
        self.moving = moving
        self.obstacle = "no batch was compared"
        self.tally = Tally(self.fetch)
        self.memory = self.tally.totals

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % self.every or self.tally.totals.get("frames", 0) >= self.frames or self.status != "pending":
            return
        warp: Any = getattr(pl_module, "warp_history", None)
        if warp is None:
            self.obstacle = "the module has no warp_history"
            return
        if obstacle := missing_fields(batch, self.reads):
            self.obstacle = obstacle
            return
        with torch.no_grad():
            maps = (batch["lidar"] > 0).float()[batch["frame_index"]]  # (B, T, 1, R, C)
            answer = warp(maps, batch)
            if answer is None:
                self.record("skipped", "this stage does not align history")
                return
            warped, mask = answer
            self.tally.add(overlap_gain(maps, warped, mask, batch["valid"], batch["pose"], self.moving))
        totals = self.tally.read(trainer)
        enough = totals["frames"] >= self.frames
        status, text, gain, facts = self._verdict(totals)
        self.stop_if(trainer, enough and status == "fail", text, gain, **facts)

    def _verdict(self, totals: dict[str, float]) -> tuple[Status, str, float | None, dict[str, Any]]:
        n = int(totals.get("frames", 0))
        if n < self.min_frames:
            few = f"only {n} frames with enough ego motion, {self.min_frames} are needed"
            return "inconclusive", few if totals else self.obstacle, None, {"frames": n}
        gain = totals["gain"] / n
        spread = math.sqrt(max(totals["gain_squared"] / n - gain**2, 0.0) / n)  # standard error of the mean
        share = totals["better"] / n
        before, after = totals["before"] / n, totals["after"] / n
        facts = {"frames": n, "share_better": share, "standard_error": spread, "iou_before": before, "iou_after": after}
        ok = gain - 2 * spread >= self.limit and share >= self.min_share
        text = f"IoU {before:.3f} → {after:.3f} by the warp, ±{spread:.3f}, better in {share:.0%} of {n} frames"
        return "pass" if ok else "fail", text, round(gain, 4), facts

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        status, text, gain, facts = self._verdict(self.tally.read(trainer))
        self.record(status, text, gain, **facts)


def overlap_gain(
    maps: Tensor, warped: Tensor, mask: Tensor, valid: Tensor, pose: Tensor, moving: float
) -> dict[str, Tensor]:
    """Sums over the comparable history frames of one batch.

    maps (B, T, 1, R, C) in {0, 1}; warped and mask (B, T, 1, r, c); valid (B, T); pose (B, T, 3).
    """
    size = warped.shape[-2:]
    coarse = size != maps.shape[-2:]
    plain, aligned = _grow(maps, size, coarse), _grow(warped, size, coarse)
    present, seen = plain[:, -1:], mask.float()
    after, before = _iou(aligned, present, seen), _iou(plain, present, seen)  # (B, T)
    use = valid.bool() & (pose[..., :2].norm(dim=-1) >= moving) & (seen.mean((2, 3, 4)) >= SEEN)
    use = use.clone()
    use[:, -1] = False  # the current frame against itself
    gain = torch.where(use, after - before, 0.0)
    return {
        "frames": use,
        "gain": gain,
        "gain_squared": gain**2,
        "better": use & (gain > 0),
        "before": torch.where(use, before, 0.0),
        "after": torch.where(use, after, 0.0),
    }


def _grow(maps: Tensor, size: torch.Size, coarse: bool) -> Tensor:
    """Occupancy at the stage's resolution. Cells of full maps are dilated by one; a coarser stage gets the mean of the
    cells, which tells half-cell shifts apart by itself and would drown in a dilation."""
    flat = maps.flatten(0, 1).float()
    if coarse:
        flat = F.adaptive_avg_pool2d(flat, tuple(size)) if flat.shape[-2:] != size else flat  # type: ignore[arg-type]
    else:
        flat = F.max_pool2d(flat, 3, stride=1, padding=1)
    return flat.unflatten(0, maps.shape[:2])


def _iou(a: Tensor, b: Tensor, seen: Tensor) -> Tensor:
    """Soft intersection over union inside the mask: (B, T)."""
    inter = (torch.minimum(a, b) * seen).sum((2, 3, 4))
    union = (torch.maximum(a, b) * seen).sum((2, 3, 4))
    return inter / union.clamp(min=1e-6)
