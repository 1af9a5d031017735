"""The optimiser step that a trainer is at: what is needed to do it again, kept once for every callback that asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.base.random_state import random_state, rewound
from callbacks.measures.rerun import Finding, examine


@dataclass
class MicroBatch:
    """One batch of the step. ``rng``: the random states before it (random_state.py); ``terms``: its loss terms."""

    batch: Any
    batch_idx: int
    rng: dict[str, Any]
    terms: dict[str, Tensor] = field(default_factory=dict)


class StepUnderWay:
    """The micro-batches of one accumulated step, and what a re-run of them shows. ``StepUnderWay.of(trainer)`` is the
    same object for all callbacks; those that use it call ``clear``, ``begin`` and ``end_batch`` in their hooks, of
    which only the first call of a batch does something.

    Attributes:
        micro_batches: oldest first; empty once the step was taken.
        keep: the latest so many are held until the step is taken; 0 holds none beyond its own end.
        gradient: norm of all gradients of the step, on the device; None before it is known.
    """

    _by_trainer: ClassVar[WeakKeyDictionary[Trainer, StepUnderWay]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.keep = 0
        self.clear()

    @classmethod
    def of(cls, trainer: Trainer) -> StepUnderWay:
        step = cls._by_trainer.get(trainer)
        if step is None:
            step = cls._by_trainer[trainer] = cls()
        return step

    def clear(self) -> None:
        """Forget the step of an earlier fit."""
        self.micro_batches: list[MicroBatch] = []
        self.gradient: Tensor | None = None
        self._batches_seen = -1
        self._global_step = -1
        self._found: tuple[int, Finding] | None = None

    def begin(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Before a batch: hold it, and one copy of the random states."""
        batches_seen = trainer.fit_loop.epoch_loop.batch_progress.total.ready
        if batches_seen == self._batches_seen:
            return
        self._batches_seen, self._global_step = batches_seen, trainer.global_step
        self.gradient, self._found = None, None
        self.micro_batches.append(MicroBatch(batch, batch_idx, random_state(pl_module.device)))
        del self.micro_batches[: -max(self.keep, 1)]

    def end_batch(self, trainer: Trainer) -> None:
        """After a batch: let go of what is not needed, or it would be kept while the next one is loaded."""
        if self.keep == 0 or self.taken(trainer):
            self.micro_batches = []

    def taken(self, trainer: Trainer) -> bool:
        """Whether the optimiser stepped since the latest batch began: the weights before are gone then."""
        return trainer.global_step != self._global_step

    def examine(self, trainer: Trainer, pl_module: LightningModule) -> tuple[int, Finding]:
        """Re-run the micro-batches until one shows a non-finite value -> its index and what it shows; else those of the
        last one. Done once per step. Changes neither weights, gradients, buffers, logs nor random states.

        Valid while the weights are those of before the step. A re-run that crashes becomes part of the finding, since
        a diagnosis must never replace the failure itself.
        """
        if self._found is None:
            self._found = self._re_run(trainer, pl_module)
        return self._found

    def _re_run(self, trainer: Trainer, pl_module: LightningModule) -> tuple[int, Finding]:
        finding = Finding()
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        for number, micro in enumerate(self.micro_batches):
            try:
                with rewound(micro.rng, pl_module.device):
                    context = trainer.precision_plugin.forward_context()
                    scale = 1.0 if scaler is None else float(scaler.get_scale())
                    finding = examine(pl_module, micro.batch, micro.batch_idx, context, scale)
            except Exception as error:
                finding = Finding(sentence=f"the re-run for a diagnosis failed ({type(error).__name__}: {error})")
            if finding.non_finite:
                return number, finding
        return len(self.micro_batches) - 1, finding
