"""``ego_motion``: the poses of the history frames are those of a vehicle that drove to the current one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.base.gathered import Gathered
from callbacks.base.guard import Guard, Policy
from callbacks.base.protocol import missing_fields, tokens_of
from callbacks.base.tally import Tally

MICROSECONDS = 1e6
EXACT = {
    "not_finite": "poses are not finite",
    "identity": "the current frame is not at (0, 0, 0) of its own axes (global poses?)",
    "heading": "headings exceed π (degrees?)",
}
STATISTICAL = {
    "distance": "the distance between successive poses disagrees with the ego's speed",
    "backward": "poses run against the direction of driving: history must lie behind, at x < 0 (inverted poses?)",
    "slip": "the ego moves across its own heading (axes swapped, or headings wrong?)",
    "yaw": "the heading turns faster than a car can (degrees?)",
}
TURNS = "the path turns {slope:+.1f} times as far as the headings, and should once (sign of the heading?)"
BENT = ("path_heading", "heading_heading")
"""Sums over moving pairs: direction of the step times mean heading, both in the axes of now, and the latter squared."""
LEAST_BEND = 0.02
"""rad²: of the squared headings; two pairs at 0.1 rad, or twenty at 0.03."""


@dataclass(eq=False)
class EgoMotionGuard(Guard):
    """Each pair of successive valid frames is held against the ego's own speed and clock.

    Violations of ``EXACT`` end the run at once. Those of ``STATISTICAL`` may occur in ``max_share`` of the pairs
    (speed sensors lag, cars reverse), judged from ``min_pairs`` on. Distance: |Δ - v̄·Δt| ≤ 0.3 m + ``tolerance``·v̄·Δt.
    Direction and slip are judged for pairs that moved more than 1 m: a rear axle moves along the mean of both headings.
    Where the path bends, headings must turn with it: the slope of the steps' directions over the headings is 1, and -1
    where the sign of the headings is wrong: a negative one is a failure, once these are ``LEAST_BEND`` in all.

    Args:
        max_share: largest share of violating pairs, for each kind.
        tolerance: relative tolerance of the distance.
        min_pairs: moving pairs needed for a verdict.
        every: batches between two readings of the counters.
    """

    name = "ego_motion"
    number = 8
    exit_code = 17
    unit = "share of wrong pairs"
    sense = "≤"
    hint = "Poses must be (x, y, heading in radians) of each frame in the axes of the current frame."
    needs_history = True
    reads = ("valid", "pose", "speed", "timestamp_us")

    max_share: float = 0.05
    tolerance: float = 0.15
    min_pairs: int = 32
    every: int = 50
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.max_share
        self.tally = Tally(self.fetch, (*EXACT, *STATISTICAL, *BENT, "pairs", "moving"))
        self.memory = self.tally.totals
        self._held = Gathered(self.reads)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if obstacle := missing_fields(batch, self.reads):
            self.tally.obstacle = obstacle
        else:
            self._held.add(batch)
        if batch_idx % self.every == 0:
            faults, text, worst, pairs = self._judge(trainer)
            self.stop_if(trainer, bool(faults), text, worst, faults=faults, pairs=pairs, tokens=tokens_of(batch))

    def _judge(self, trainer: Trainer) -> tuple[dict[str, float], str, float, int]:
        """(faults beyond their limit: count or share, the same in words, the largest share, moving pairs)."""
        totals = self._count(trainer)
        pairs = int(totals.get("moving", 0))
        faults: dict[str, float] = {name: int(totals[name]) for name in EXACT if totals.get(name)}
        base = {"distance": totals.get("pairs", 0.0), "yaw": totals.get("pairs", 0.0)}
        shares = {name: totals.get(name, 0.0) / max(base.get(name, pairs), 1.0) for name in STATISTICAL}
        if pairs >= self.min_pairs:
            faults |= {name: round(value, 4) for name, value in shares.items() if value > self.limit}
        bend = totals.get("heading_heading", 0.0)
        slope = totals.get("path_heading", 0.0) / bend if bend > LEAST_BEND else 1.0
        exact = [f"{EXACT[name]} ({count} times)" for name, count in faults.items() if name in EXACT]
        if pairs >= self.min_pairs and slope < 0:
            faults["turns"] = round(slope, 2)
            exact.append(TURNS.format(slope=slope))
        share = [f"{STATISTICAL[n]} ({value:.0%} of {pairs})" for n, value in faults.items() if n in STATISTICAL]
        return faults, "; ".join(exact + share), round(max(shares.values()), 4), pairs

    def _count(self, trainer: Trainer) -> dict[str, Any]:
        for held in self._held.take():
            self.tally.add(motion_faults(held, self.tolerance))
        return self.tally.read(trainer)

    def flush(self) -> None:
        self._count(self.trainer)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        faults, text, worst, pairs = self._judge(trainer)
        totals = {name: int(count) for name, count in self.tally.totals.items()}
        if faults:
            self.record("fail", text, worst, faults=faults, counts=totals)
        elif obstacle := self.tally.blind():
            self.record("inconclusive", obstacle)
        elif pairs < self.min_pairs:
            text = f"only {pairs} moving pairs of frames were seen, {self.min_pairs} are needed"
            self.record("inconclusive", text, worst, counts=totals)
        else:
            text = f"{pairs} moving pairs agree with speed and heading, worst kind {worst:.1%} off"
            self.record("pass", text, worst, counts=totals)


def motion_faults(batch: Any, tolerance: float) -> dict[str, Tensor]:
    """Counters of one batch: the keys of ``EXACT`` and ``STATISTICAL``, ``pairs`` of valid frames, ``moving`` ones."""
    valid, pose, speed = batch["valid"].bool(), batch["pose"].float(), batch["speed"].abs()
    finite = torch.isfinite(pose).all(-1)
    elapsed = (batch["timestamp_us"][:, 1:] - batch["timestamp_us"][:, :-1]) / MICROSECONDS
    # Frames in the wrong order are another criterion's finding.
    pair = valid[:, 1:] & valid[:, :-1] & finite[:, 1:] & finite[:, :-1] & (elapsed > 0)
    pose = torch.nan_to_num(pose)
    expected = (speed[:, 1:] + speed[:, :-1]) / 2 * elapsed  # trapezoid: 0.05 m off at most at 5 m/s³ and 2 Hz
    step = pose[:, 1:] - pose[:, :-1]
    distance = step[..., :2].norm(dim=-1)
    turn = torch.atan2(torch.sin(step[..., 2]), torch.cos(step[..., 2]))
    # The step in the axes of the mean heading: (along, across).
    heading = pose[:, :-1, 2] + turn / 2
    cos, sin = torch.cos(heading), torch.sin(heading)
    along = cos * step[..., 0] + sin * step[..., 1]
    across = -sin * step[..., 0] + cos * step[..., 1]
    moving = pair & (expected > 1.0)
    direction = torch.atan2(step[..., 1], step[..., 0])
    ahead = moving & (along > 0) & (direction.abs() < math.pi / 2)
    return {
        "not_finite": valid & ~finite,
        "identity": (pose[:, -1].abs() > 1e-3).any(-1),
        "heading": valid & (pose[..., 2].abs() > math.pi + 1e-3),
        "distance": pair & ((distance - expected).abs() > 0.3 + tolerance * expected),
        "backward": moving & (along < 0),
        "slip": moving & (across.abs() > 0.5 * along.abs()),  # 27° off
        "yaw": pair & (turn.abs() > 1.5 * elapsed),  # rad/s
        "path_heading": torch.where(ahead, direction * heading, 0.0),
        "heading_heading": torch.where(ahead, heading**2, 0.0),
        "pairs": pair,
        "moving": moving,
    }
