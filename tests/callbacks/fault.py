"""What a fault of the matrix is: how it gets into a run of the toy module, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import lightning as L
from toy_drive import loader
from toy_run import STEPS, ToyModule

from callbacks import Guard

BAD_STEP = 20
"""Steps done when a fault in the middle of a run strikes; also the number of the batch, as a step is a batch."""

Damage = Callable[[dict[str, Any], int], None]
Act = Callable[[L.Trainer, L.LightningModule], None]


@dataclass(frozen=True)
class Fault:
    """One row of docs/fault_matrix.md.

    What is expected:
        criterion: the one that must decide alone; "" where the run ends for another reason.
        step: optimiser steps done when the run ended.
        says: part of the reason.
        evidence: ``step`` (the failing step can be done again), ``weights`` (it was taken already) or ``none``.
        status: of the verdict.
        exit_code: None takes that of the criterion.
        dirty: the fault itself sits in the model's memory; files must be clean all the same.
    How it is injected, into the guilty rank only:
        damage, validation: change a batch of training or validation in place, given its number.
        change: patches the module; parameters stay those of the other rank.
        at: done right after step BAD_STEP.
    What all ranks have:
        module, batches, callbacks, options: of the run; ``batches`` of the guilty rank in an epoch (others: STEPS).
        guards: criteria with other limits; told whether their source is the one that lies.
        saver: arguments of its ModelCheckpoint.
        furnish: fields that all batches get.
    informed: with the module and the data of toy_evidence.py, which say more of themselves.
    told: patches what the data says of itself, of the guilty rank.
    together: steps done with two ranks, where that is fewer: they see twice as much.
    ranks: with two of them, ``one`` (rank 1 is guilty), ``all`` (a fault of what they share), or "" (not run).
    """

    name: str
    criterion: str
    step: int
    says: str
    evidence: str = "step"
    status: str = "rejected"
    exit_code: int | None = None
    dirty: bool = False
    damage: Damage | None = None
    validation: Damage | None = None
    change: Callable[[Any], None] | None = None
    at: Act | None = None
    module: Callable[[], L.LightningModule] = ToyModule
    batches: int = STEPS
    guards: Callable[[bool], dict[str, Guard]] = field(default=lambda guilty: {})
    callbacks: Callable[[], tuple[L.Callback, ...]] = tuple
    options: Callable[[], Mapping[str, Any]] = dict
    saver: Mapping[str, Any] = field(default_factory=lambda: {"save_last": True})
    furnish: Damage | None = None
    informed: bool = False
    told: Callable[[Any], None] | None = None
    together: int | None = None
    ranks: str = "one"

    def loaders(self, guilty: bool) -> tuple[Any, Any]:
        """Of training and validation."""
        train = both(self.furnish, self.damage if guilty else None)
        val = both(self.furnish, self.validation if guilty else None)
        return loader(self.batches if guilty else STEPS, fault=train), loader(2, fault=val)

    def data(self, guilty: bool) -> L.LightningDataModule:
        """Of an informed run."""
        from toy_evidence import ToyData

        damage, validation = (self.damage, self.validation) if guilty else (None, None)
        data = ToyData(both(self.furnish, damage), both(self.furnish, validation), self.batches if guilty else STEPS)
        if guilty and self.told is not None:
            self.told(data.evidence)
        return data

    def built(self, guilty: bool) -> L.LightningModule:
        module = self.module()
        if guilty and self.change is not None:
            self.change(module)
        return module

    def before_the_guards(self, guilty: bool) -> list[L.Callback]:
        return [*self.callbacks(), *([At(self.at)] if guilty and self.at is not None else [])]


class At(L.Callback):
    """Does something right after step BAD_STEP."""

    def __init__(self, action: Act) -> None:
        self.action = action

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if trainer.global_step == BAD_STEP:
            self.action(trainer, pl_module)


def both(first: Damage | None, second: Damage | None) -> Damage:
    def change(batch: dict[str, Any], number: int) -> None:
        for damage in (first, second):
            if damage is not None:
                damage(batch, number)

    return change


def around(method: str, how: Callable[..., Any]) -> Callable[[Any], None]:
    """Patches ``method`` of the module (``fusion.forward``: of a submodule) by ``how(original, module, *args)``."""

    def change(module: Any) -> None:
        *path, name = method.split(".")
        owner = module.get_submodule(".".join(path))
        original = getattr(owner, name)
        setattr(owner, name, lambda *arguments: how(original, module, *arguments))

    return change


def striking(module: Any) -> bool:
    """Is this the step at which a fault in the middle of the run strikes?"""
    return module.training and module.global_step == BAD_STEP


def field_of(name: str, how: Callable[[Any], Any], since: int = 0) -> Damage:
    """Replace a field of every batch from number ``since`` on."""

    def damage(batch: dict[str, Any], number: int) -> None:
        if number >= since:
            batch[name] = how(batch[name])

    return damage
