"""``history``: the frames that the model sees are several, distinct and chronological."""

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
CHANCE = 3.0
"""Standard deviations of a share that are put down to which samples a rank got."""
FAULTS = {
    "order": "timestamps do not increase strictly from oldest to current",
    "current": "the last frame is not the current one (not valid, or dt is not 0)",
    "dt": "dt disagrees with the timestamps",
    "repeated": "the same frame stands at two places of one sample",
    "identical": "the sensor content of successive frames is identical although the ego moves",
    "poses": "the poses of successive frames are identical although the ego moves",
}


@dataclass(eq=False)
class HistoryGuard(Guard):
    """Counts faults over all batches on the device; reads the counters at the first batch and then every ``every``.
    Any fault ends the run. At the end at least ``min_valid`` of the history frames must have been there; with several
    ranks no single one may lie below that by more than chance, so that the others do not hide its broken data.

    Args:
        min_valid: smallest share of valid history frames over the run.
        num_frames: frames expected per sample; None takes ``pl_module.num_frames`` where it exists.
        every: batches between two readings, and between two comparisons of sensor content (which read whole images).
        dt_tolerance: seconds.
        moving: metres per frame from which the ego counts as moving.
    """

    name = "history"
    number = 7
    exit_code = 16
    unit = "share of valid history"
    hint = "Check the order in which frames are stacked and which frames the data set finds."
    needs_history = True
    reads = ("frame_index", "valid", "timestamp_us", "dt", "pose", "speed")

    min_valid: float = 0.5
    num_frames: int | None = None
    every: int = 50
    dt_tolerance: float = 0.01
    moving: float = 0.5
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.min_valid
        self.tally = Tally(self.fetch, (*FAULTS, "valid", "places", "samples", "compared"))
        self.memory = self.tally.totals
        self._held = Gathered(self.reads)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        due = batch_idx % self.every == 0
        if obstacle := missing_fields(batch, self.reads):
            self.tally.obstacle = obstacle
        frames = 0 if obstacle else batch["valid"].shape[1]
        expected = self.num_frames or getattr(pl_module, "num_frames", None)
        wrong = not obstacle and (frames < 2 or (expected is not None and frames != expected))
        if due:
            count = f"{frames} frames per sample instead of {expected or 'at least 2'}"
            self.stop_if(trainer, wrong, count, frames, tokens=tokens_of(batch))
        if not wrong and not obstacle:
            if due:
                self.tally.add(history_faults(batch, self.moving, self.dt_tolerance, content=True))
            else:
                self._held.add(batch)
        if due:
            self._judge(trainer, batch)  # whatever this rank could count: the others wait for it

    on_validation_batch_start = on_train_batch_start

    def _judge(self, trainer: Trainer, batch: Any) -> None:
        totals = self._count(trainer)
        if totals.get("places"):
            found, text = self._faults(totals)
            self.stop_if(trainer, bool(found), text, self._valid_share(totals), faults=found, tokens=tokens_of(batch))

    def _count(self, trainer: Trainer) -> dict[str, Any]:
        for held in self._held.take():
            self.tally.add(history_faults(held, self.moving, self.dt_tolerance, content=False))
        return self.tally.read(trainer)

    @staticmethod
    def _faults(totals: dict[str, Any]) -> tuple[dict[str, int], str]:
        """Counts by name, and in words."""
        found = {name: int(totals[name]) for name in FAULTS if totals.get(name)}
        return found, "; ".join(f"{FAULTS[name]} ({count} times)" for name, count in found.items())

    @staticmethod
    def _valid_share(totals: dict[str, float]) -> float:
        return round(totals["valid"] / totals["places"], 4)

    def _own_lack(self) -> float | None:
        """The share of valid frames of this rank, if it is below the limit beyond chance. The frames of a sample tend
        to be missing together, so that samples are counted."""
        own = self.tally.own
        if not own.get("samples"):
            return None
        share = self._valid_share(own)
        by_chance = CHANCE * math.sqrt(self.limit * (1 - self.limit) / own["samples"])
        return share if share < self.limit - by_chance else None

    def flush(self) -> None:
        self._count(self.trainer)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        totals = self._count(trainer)
        if not totals.get("places"):
            self.record("inconclusive", self.tally.blind())
            return
        found, text = self._faults(totals)
        valid, compared = self._valid_share(totals), int(totals.get("compared", 0))
        facts = {"faults": found, "history_frames": int(totals["places"]), "contents_compared": compared}
        if found:
            self.record("fail", text, valid, **facts)
        elif obstacle := self.tally.blind():
            self.record("inconclusive", obstacle, valid, **facts)
        elif valid < self.limit:
            self.record("fail", f"only {valid:.1%} of the history frames exist", valid, **facts)
        elif (lack := self._own_lack()) is not None:
            rank = trainer.global_rank
            self.record("fail", f"only {lack:.1%} of the history frames of rank {rank} exist", lack, rank=rank, **facts)
        elif not compared:
            self.record("inconclusive", "no moving pair of frames was seen, contents were not compared", valid, **facts)
        else:
            places = facts["history_frames"]
            text = f"{valid:.1%} of {places} history frames are there, in order; {compared} contents differ"
            self.record("pass", text, valid, **facts)


def history_faults(batch: Any, moving: float, dt_tolerance: float, content: bool) -> dict[str, Tensor]:
    """Counters of one batch: the keys of ``FAULTS``, ``valid`` of ``places`` in ``samples``, pairs ``compared``."""
    valid, stamp, dt = batch["valid"].bool(), batch["timestamp_us"], batch["dt"]
    oldest = torch.iinfo(stamp.dtype).min
    # Against the latest valid frame so far, so that a hole in the history hides nothing.
    latest = torch.where(valid, stamp, oldest).cummax(1).values
    follows = valid[:, 1:] & (latest[:, :-1] > oldest)
    age = (stamp[:, -1:] - stamp) / MICROSECONDS
    index = batch["frame_index"]
    t = torch.arange(index.shape[1], device=index.device)
    both = valid[:, :, None] & valid[:, None, :] & (t[:, None] < t[None, :])
    faults = {
        "order": follows & (stamp[:, 1:] <= latest[:, :-1]),
        "current": ~valid[:, -1] | (dt[:, -1].abs() > dt_tolerance),
        "dt": valid & ((dt - age).abs() > dt_tolerance),
        "repeated": both & (index[:, :, None] == index[:, None, :]),
        "valid": valid[:, :-1],
        "places": torch.ones_like(valid[:, :-1]),
        "samples": torch.ones_like(valid[:, -1]),
    }
    elapsed = (stamp[:, 1:] - stamp[:, :-1]) / MICROSECONDS
    distance = torch.minimum(batch["speed"][:, 1:].abs(), batch["speed"][:, :-1].abs()) * elapsed
    pair = valid[:, 1:] & valid[:, :-1] & (distance > moving)
    faults["poses"] = pair & (batch["pose"][:, 1:] == batch["pose"][:, :-1]).all(-1)
    if content:
        sensors = [batch[name] for name in ("lidar", "camera") if name in batch]
        # Fingerprints per unique frame: gathering whole images per place would cost T times the memory.
        prints = torch.stack([_fingerprint(frames) for frames in sensors], 1)[index]  # (B, T, sensors, 2)
        same = (prints[:, 1:] == prints[:, :-1]).all(-1) & (prints[:, 1:] != 0).any(-1)  # empty maps say nothing
        faults["identical"] = pair & same.any(-1)
        faults["compared"] = pair
    return faults


def _fingerprint(frames: Tensor) -> Tensor:
    """(F, ...) -> (F, 2): numbers that differ where the content differs, over at most 2^17 samples of it.

    Two, since one float32 sum collides by chance once in some 10^5 pairs; sums of products, since matrix
    multiplication may be cut down to TF32.
    """
    flat = frames.flatten(1)
    flat = flat[:, :: (flat.shape[1] >> 16) | 1].float()
    place = torch.arange(flat.shape[1], device=flat.device)
    return torch.stack([(flat * (1.5 + torch.cos(place * w))).sum(1) for w in (0.37, 1.13)], 1)
