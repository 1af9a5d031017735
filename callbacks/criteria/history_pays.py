"""``history_pays``: scenes that differ in their history alone are told apart, and driven the right way round."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy, share
from callbacks.base.protocol import evidence_of

Figure = tuple[float, float, float]  # with its 95 % interval, low and high; NaN where there is none


@dataclass(eq=False)
class HistoryPaysGuard(Guard):
    """Judged at the end, on the pairs of the validation split, by the weights that training ends with. Both scenes of a
    pair show one current frame; who sees no more cannot pass: it predicts the same of both, and drives one plan.

    Passes if *pair accuracy*, how often a sub-score that a plan loses in one of the scenes is predicted lower in that
    one (a tie is one half), is above ``min_accuracy`` with the lower end of its interval; and *swap gain*, the score
    that is lost when the two plans of each pair are exchanged, is above ``min_gain``. Intervals draw whole districts.

    It cannot see by what of the history the scenes are told apart, nor whether that helps in other scenes.

    Args:
        min_accuracy: one half is what no history reaches.
        min_gain: in the score.
        min_pairs: fewer are inconclusive.
    """

    name = "history_pays"
    number = 19
    exit_code = 28
    unit = "pair accuracy, low end"
    sense = ">"
    hint = "Look at the kinds of pairs that fail, at the level of the stage, and at how many pairs were trained on."
    needs_history = True

    min_accuracy: float = 0.5
    min_gain: float = 0.0
    min_pairs: int = 8
    policy: Policy = "off"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.min_accuracy

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (twins := evidence_of(trainer, "twins")) is None:
            self.record("skipped", "the data does not say which of its scenes are twins")
            return
        found = None
        if trainer.is_global_zero:
            with torch.no_grad(), torch.random.fork_rng(devices=[]), trainer.precision_plugin.forward_context():
                found = twins(pl_module)
        found = share(trainer, found)[0]
        if found is None:
            self.record("skipped", "the validation split has no twin scenes")
            return
        self._judge(found)

    def _judge(self, found: Mapping[str, Any]) -> None:
        accuracy, gain = found["pair_accuracy"], found["swap_gain"]
        facts = {"pairs": found["pairs"], "districts": found["districts"], "kinds": _plain(found["kinds"]),
                 **{name: _plain(found[name]) for name in ("pair_accuracy", "swap_gain", "share")}}  # fmt: skip
        where = f"{found['pairs']} pairs of {found['districts']} districts"
        text = f"pair accuracy {_text(accuracy)}, swap gain {_text(gain, '+')}, "
        text += f"share of headroom {_text(found['share'], '+')} in {where}"
        measured = None if math.isnan(accuracy[1]) else round(accuracy[1], 4)
        if found["pairs"] < self.min_pairs:
            self.record("inconclusive", f"{found['pairs']} pairs are too few, {self.min_pairs} are needed", **facts)
        elif math.isnan(accuracy[0]):
            self.record("inconclusive", f"the planner predicts no points that could be told apart: {text}", **facts)
        elif measured is None:
            self.record("inconclusive", f"pairs of one district have no interval: {text}", **facts)
        elif not accuracy[1] > self.min_accuracy:
            self.record("fail", f"may be told apart by chance: {text}", measured, **facts)
        elif not gain[0] > self.min_gain:
            self.record("fail", f"the plans are not the right way round: {text}", measured, **facts)
        else:
            self.record("pass", text, measured, **facts)


def _text(figure: Figure, sign: str = "") -> str:
    value, low, high = figure
    return f"{value:{sign}.3f}" + ("" if math.isnan(low) else f" [{low:{sign}.3f}, {high:{sign}.3f}]")


def _plain(value: Any) -> Any:
    """Lists of rounded numbers, None for one that is none: details are JSON."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if math.isnan(value) else round(float(value), 4)
