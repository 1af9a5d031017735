"""``labels``: what is learnt from belongs to the scenes it is given for, and tells good plans from bad ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy
from callbacks.base.protocol import evidence_of, missing_fields, tokens_of
from callbacks.base.tally import Tally

PERIOD_S = 0.5
"""Between the poses of an expert's future; the first is so far ahead."""
CLOSE = 1e-3
"""Metres and radians between a future in single precision and that of the log."""


@dataclass(eq=False)
class LabelsGuard(Guard):
    """Before the first step, of ``scenes`` scenes drawn by the run's seed: the label table's rows are what the scorer
    says now; the expert's future in the cache is that of the log; the log's poses lie on the roads of the map. Of the
    whole table: plans differ in nearly every scene, and some plan is worth something in most.

    While it lasts, of every ``every``-th batch: its label rows and futures are those of its own scenes. Of every
    batch: the first pose of the expert lies where the ego's own speed leads, but for ``max_share`` of the scenes.

    A table whose few wrong rows were not drawn passes: with a share w of wrong rows, n scenes find none with (1 − w)^n.
    Sub-scores that are wrong in table and scorer alike are not seen here (docs/pdm.md compares the scorer).

    Args:
        scenes: re-scored, and compared with log and map.
        max_flat: largest share of scenes in which all plans have the same label, or none is worth anything.
        min_on_road: smallest share of the log's poses on roads.
        max_share: of scenes whose expert contradicts the ego's speed.
        every: batches between two comparisons of label rows.
    """

    name = "labels"
    number = 15
    exit_code = 24
    unit = "wrong scenes"
    sense = "≤"
    hint = "Make the labels again (make labels ARGS=overwrite=true), and check maps and logs with make doctor."

    scenes: int = 20
    max_flat: float = 0.5
    min_on_road: float = 0.5
    max_share: float = 0.05
    every: int = 50
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = 0
        self.tally = Tally(self.fetch, ("scenes", "elsewhere"))
        self.memory = {"start": {}, "live": self.tally.totals}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self.status == "pending" and evidence_of(trainer, "targets") is None:
            self.record("skipped", "the data does not say what its targets were made from (`evidence.targets`)")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found: Mapping[str, Any] = evidence_of(trainer, "targets")(self.scenes)
        self.memory["start"] = dict(found)
        faults = []
        if found["expert_apart"]:
            faults.append(
                f"in {len(found['expert_apart'])} of {found['scenes']} scenes the expert's future is not that of the "
                f"log, first {found['expert_apart'][0]}"
            )
        if found["on_road"] < self.min_on_road:
            faults.append(f"{found['on_road']:.0%} of the poses lie on roads of the map: it is a map of another place")
        if "flat" in found:
            if found["flat"] > self.max_flat:
                faults.append(
                    f"in {found['flat']:.0%} of the scenes all plans have the same label: nothing can be learnt"
                )
            elif found["worthless"] > self.max_flat:
                faults.append(f"in {found['worthless']:.0%} of the scenes every plan scores 0")
        if found.get("rows_apart"):
            faults.append(
                f"{len(found['rows_apart'])} of {found['rescored']} label rows are not what the scorer says, first "
                f"that of scene {found['rows_apart'][0]}"
            )
        if found.get("scorer") is not None and found["scorer"][0] != found["scorer"][1]:
            faults.append("the labels are of scorer version {}, this one is {}".format(*found["scorer"]))
        self.stop_if(trainer, bool(faults), "; ".join(faults), len(faults), **found)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if obstacle := missing_fields(batch, ("trajectory", "speed", "tokens")):
            self.tally.obstacle = obstacle
            return
        self.tally.add(elsewhere(batch))
        if batch_idx % self.every:
            return
        totals = self.tally.read(trainer)
        share = totals["elsewhere"] / max(totals["scenes"], 1)
        text = _contradicted(share, totals)
        self.stop_if(trainer, totals["scenes"] >= 1 and share > self.max_share, text, round(share, 4),
                     tokens=tokens_of(batch))  # fmt: skip
        wrong = self._foreign_futures(trainer, batch)
        text = f"{len(wrong)} scenes of a batch bring futures that are not those of their logs, first {wrong[:1]}"
        self.stop_if(trainer, bool(wrong), text, len(wrong), tokens=wrong)
        wrong = self._foreign_rows(trainer, batch)
        text = f"{len(wrong)} scenes of a batch bring labels that are not theirs in the table, first {wrong[:1]}"
        self.stop_if(trainer, bool(wrong), text, len(wrong), tokens=wrong)

    def _foreign_futures(self, trainer: Trainer, batch: Any) -> list[str]:
        future_of = evidence_of(trainer, "future")
        if future_of is None:
            return []
        given = batch["trajectory"].double().cpu()
        own = ((token, torch.as_tensor(future_of(token), dtype=torch.float64)) for token in tokens_of(batch))
        apart = ((token, (is_ - should).abs().amax()) for (token, should), is_ in zip(own, given, strict=True))
        return [token for token, by in apart if not by <= CLOSE]

    def _foreign_rows(self, trainer: Trainer, batch: Any) -> list[str]:
        row_of = evidence_of(trainer, "label_row")
        if row_of is None or "sim_reward" not in batch:
            return []
        rows = batch["sim_reward"].float().cpu()
        own = ((token, torch.as_tensor(row_of(token), dtype=torch.float32)) for token in tokens_of(batch))
        return [token for (token, row), given in zip(own, rows, strict=True) if not torch.equal(row, given)]

    def flush(self) -> None:
        self.tally.read(self.trainer)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        start = self.memory["start"]
        totals = self.tally.read(trainer)
        if not start:
            self.record("inconclusive", "the run never reached its first step")
            return
        share = totals.get("elsewhere", 0.0) / max(totals.get("scenes", 0.0), 1.0)
        if share > self.max_share:
            text = (
                f"the expert's first pose contradicts the ego's speed in {share:.0%} of {int(totals['scenes'])} scenes"
            )
            self.record("fail", text, round(share, 4))
            return
        text = f"{start['scenes']} scenes agree with log and map"
        if "rescored" in start:
            text = f"{start['rescored']} label rows are scored anew and equal, plans differ in {1 - start['flat']:.0%} "
            text += f"of the scenes; {start['scenes']} experts are the log's, {start['on_road']:.0%} of poses on roads"
        self.record("pass", text, 0, **start)


def _contradicted(share: float, totals: Mapping[str, float]) -> str:
    return f"the expert's first pose contradicts the ego's speed in {share:.0%} of {int(totals['scenes'])} scenes"


def elsewhere(batch: Any) -> dict[str, torch.Tensor]:
    """Counters of one batch: ``scenes``, and those whose expert's first pose is not as far away as the ego's own speed
    (m/s, now) leads in half a second; braking or starting at 5 m/s² changes that by 0.6 m."""
    first = batch["trajectory"][:, 0, :2].float().norm(dim=-1)
    led = batch["speed"][:, -1].float().abs() * PERIOD_S
    return {"scenes": torch.ones_like(led), "elsewhere": (first - led).abs() > 0.75 + 0.15 * led}
