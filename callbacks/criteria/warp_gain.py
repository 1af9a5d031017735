"""``warp_gain``: the fusion stage's own warp makes past maps fit the current one, and no other motion fits better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.base.guard import Guard, Policy, Status, agree
from callbacks.base.protocol import missing_fields
from callbacks.base.tally import Tally
from callbacks.measures.overlap import SUMS, advantage, at_size, grown, summary

PROBES = {
    "a shorter way": (0.8, 0.8, 1.0),
    "a longer way": (1.25, 1.25, 1.0),
    "the other side": (1.0, -1.0, 1.0),
    "no turn": (1.0, 1.0, 0.0),
    "twice the turn": (1.0, 1.0, 2.0),
}
"""Falsified motions (factors of x, y and heading), given to the stage's own warp."""
NOTHING = "nothing"
CLEAR = 6.0
"""Standard errors beyond which more frames would tell nothing new: that question is asked no more."""
USUAL = 12
"""History frames of a batch of four windows of four frames, which ``every`` is meant for."""
TURNING = 0.05  # rad
SIDEWAYS = 0.5  # m


def _differs(pose: Tensor, probe: tuple[float, float, float]) -> Tensor:
    """Which of the poses (B, T, 3) differ enough from what ``probe`` makes of them: (B, T) bool."""
    ahead, aside, turn = probe
    differs = torch.ones_like(pose[..., 0], dtype=torch.bool)
    if turn != 1.0:
        differs = differs & (pose[..., 2].abs() >= TURNING)
    if ahead != aside:
        differs = differs & (pose[..., 1].abs() >= SIDEWAYS)
    return differs


@dataclass(eq=False)
class WarpGainGuard(Guard):
    """Feeds the LiDAR maps of live batches to ``pl_module.warp_history`` and compares their overlap (IoU of occupied
    cells) with the current map, for history frames from which the ego moved at least ``moving`` metres:

    - with the warp and without: the mean gain must be at least ``min_gain`` beyond two standard errors, and at least
      ``min_share`` of the frames must gain. This finds wrong directions, axes and signs.
    - with the true poses and with the falsified ones of ``PROBES``: none of them may fit better (by two standard
      errors), and the result must depend on them. This finds wrong scales, a mirrored side, an ignored heading.

    Decided as soon as ``frames`` were compared, on each rank by its own: a wrong warp ends the run early. What
    holds beyond ``CLEAR`` standard errors is not asked again. Probes of turns and of the side
    are judged on frames that turned, or lie aside, if there were enough of them.

    Args:
        min_gain: smallest mean gain in IoU.
        min_share: smallest share of compared frames that gain.
        frames: comparisons for a verdict; with fewer than ``min_frames`` at the end it is inconclusive.
        every: batches between two measurements, of batches with ``USUAL`` history frames; fewer with smaller ones.
        moving: metres between a history frame and the current one.
    """

    name = "warp_gain"
    number = 9
    exit_code = 18
    unit = "IoU gained"
    by_rank = True
    hint = "Check direction (history in the current axes), axis order, sign and scale of the pose given to the warp."
    needs_history = True
    reads = ("lidar", "frame_index", "valid", "pose")

    min_gain: float = 0.02
    min_share: float = 0.6
    frames: int = 128
    min_frames: int = 16
    every: int = 10
    moving: float = 2.0
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.min_gain
        self.tally = Tally(self.fetch, [f"{name}/{key}" for name in (NOTHING, *PROBES) for key in SUMS])
        self.memory = self.tally.totals
        self._done = False  # on all ranks

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._done or self.status != "pending" or batch_idx % self._interval(batch):
            return
        if getattr(pl_module, "warp_history", None) is None:
            self.tally.obstacle = "the module has no warp_history"
        elif obstacle := missing_fields(batch, self.reads):
            self.tally.obstacle = obstacle
        elif not self._measure(pl_module, batch):
            self.record("skipped", "this stage does not align history")
            return
        # Each rank by itself: the sound maps of the others would outweigh one rank's faults.
        totals = self.tally.read(trainer, own=True)
        status, text, gain, facts = self._verdict(totals)
        compared = totals.get(f"{NOTHING}/frames", 0)
        self.stop_if(trainer, compared >= self.frames and status == "fail", text, gain, **facts)
        self._done = not agree(trainer, compared < self.frames and len(self._clear()) < 1 + len(PROBES))

    def _interval(self, batch: Any) -> int:
        """Batches between two looks: ``every``, and fewer where a batch brings few history frames, for the same
        price."""
        valid = batch["valid"] if isinstance(batch, Mapping) and "valid" in batch else None
        brought = USUAL if valid is None else valid.shape[0] * (valid.shape[1] - 1)
        return max(1, min(self.every, self.every * brought // USUAL))

    @torch.no_grad()
    def _measure(self, pl_module: Any, batch: Any) -> bool:
        pose = batch["pose"]
        use = batch["valid"].bool()[:, :-1] & (pose[:, :-1, :2].norm(dim=-1) >= self.moving)
        clear = self._clear()
        judged = {name: use & _differs(pose[:, :-1], probe) for name, probe in PROBES.items() if name not in clear}
        # Streets are mostly straight: a probe that no frame of this batch can judge need not be warped for.
        moved, *asked = self.fetch(torch.stack([use.any(), *(frames.any() for frames in judged.values())]).float())
        useful = any(asked) or (moved and NOTHING not in clear)
        if self.tally.own and not useful:
            return True
        precise = torch.promote_types(pl_module.dtype, torch.float32)  # a module in double sees nothing else
        maps = (batch["lidar"] > 0).to(precise)[batch["frame_index"]]  # (B, T, 1, R, C)
        aligned = pl_module.warp_history(maps, batch)
        if aligned is None:
            return False
        size, full = aligned[0].shape[-2:], maps.shape[-2:]

        def past(warped: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            """Without the current frame, which is the same in every alignment."""
            return grown(warped[:, :-1], size, full), mask[:, :-1]

        present, ours = grown(maps[:, -1:], size, full), past(*aligned)
        unmoved = past(at_size(maps, size), torch.ones_like(aligned[1]))
        self._count(NOTHING, advantage(present, ours, unmoved, use))
        for name in (name for name, ask in zip(judged, asked, strict=True) if ask):
            changed = {**batch, "pose": pose * pose.new_tensor(PROBES[name])}
            self._count(name, advantage(present, ours, past(*pl_module.warp_history(maps, changed)), judged[name]))
        return True

    def _count(self, name: str, sums: dict[str, Tensor]) -> None:
        self.tally.add({f"{name}/{key}": value for key, value in sums.items()})

    def _sums(self, totals: dict[str, Any], name: str) -> dict[str, float]:
        return summary({key.split("/")[1]: value for key, value in totals.items() if key.split("/")[0] == name})

    def _clear(self) -> set[str]:
        """What this rank need not ask again."""
        found = {name: self._sums(self.tally.own, name) for name in (NOTHING, *PROBES)} if self.tally.own else {}
        return {name for name, s in found.items() if s["frames"] >= self.min_frames and s["gain"] > CLEAR * s["error"]}

    def _verdict(self, totals: dict[str, Any]) -> tuple[Status, str, float | None, dict[str, Any]]:
        if obstacle := self.tally.blind():
            return "inconclusive", obstacle, None, {}
        s = self._sums(totals, NOTHING)
        if s["frames"] < self.min_frames:
            few = f"only {s['frames']} frames with enough ego motion, {self.min_frames} are needed"
            return "inconclusive", few, None, {"against": {NOTHING: s}}
        probes = {name: self._sums(totals, name) for name in PROBES}
        text = f"IoU {s['before']:.3f} → {s['after']:.3f} by the warp, ±{s['error']:.3f}, better in {s['better']:.0%} "
        text += f"of {s['frames']} frames"
        good = s["gain"] - 2 * s["error"] >= self.limit and s["better"] >= self.min_share
        for name, probe in probes.items() if good else ():
            if probe["frames"] < self.min_frames:
                text += f"; too few frames to rule out {name}"
            elif probe["gain"] + 2 * probe["error"] < 0 or (probe["gain"] == 0 and probe["error"] == 0):
                how = "fits better" if probe["gain"] < 0 else "fits as well"
                text += f"; but {name} than the poses say {how} ({-probe['gain']:+.3f})"
                good = False
        return "pass" if good else "fail", text, round(s["gain"], 4), {"against": {NOTHING: s, **probes}}

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        status, text, gain, facts = self._verdict(self.tally.read(trainer, own=True))
        self.record(status, text, gain, **facts)
