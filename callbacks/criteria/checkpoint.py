"""``checkpoint``: a checkpoint of the final weights exists and can be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks.base.checksum import DamagedFileError, read_saved
from callbacks.base.guard import Guard, Policy, Status
from callbacks.base.plain import in_one_line, portable
from callbacks.base.saved import claimed_checkpoints
from callbacks.base.tensors import all_finite, named_floats
from callbacks.measures.reload import compare_forward


class CheckpointGuard(Guard):
    """Loads every file that the attached ``ModelCheckpoint``s claim (last and best) with ``weights_only=True`` and
    checks: all values finite (optimiser state included), keys and shapes equal the model's, and one file holds the
    final ``global_step``. That file must also give the model back: built from it (``pl_module.rebuild`` where it
    exists, else the same module with all saved values erased first), it must compute for the first training batch, in
    inference, what the model in memory does. It cannot see whether training would go on as before (optimiser, schedule
    and position of the loader are only loaded), nor verify an older file's outputs.

    Args:
        require_final: the newest file must be of the last step; False for runs that keep only the best epoch.
        forward: compare a forward pass; False where one batch is too much for the memory of the host.
        tolerance: largest difference of an output, relative to its largest value.
    """

    name = "checkpoint"
    number = 2
    exit_code = 13
    unit = "files"
    hint = "Add ModelCheckpoint(save_last=True), and keep only plain data in hyper-parameters and callback states."

    def __init__(
        self, require_final: bool = True, policy: Policy = "fail", forward: bool = True, tolerance: float = 1e-5
    ) -> None:
        super().__init__(policy)
        self.require_final = require_final
        self.forward = forward
        self.tolerance = tolerance
        self.limit = 1
        self._batch: Any = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._batch is None and self.forward and trainer.is_global_zero:
            self._batch = portable(batch)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        verdict: Any = self._verify(trainer, pl_module) if trainer.is_global_zero else None
        # Rank 0, which writes, decides for all: other ranks may not even see the disk.
        status, message, measured, details = trainer.strategy.broadcast(verdict, 0)
        self.record(status, message, measured, **details)

    def _verify(self, trainer: Trainer, pl_module: LightningModule) -> tuple[Status, str, int, dict[str, Any]]:
        if not any(isinstance(callback, ModelCheckpoint) for callback in trainer.checkpoint_callbacks):
            return "fail", "no ModelCheckpoint is attached to the trainer", 0, {}
        paths = claimed_checkpoints(trainer)
        if not paths:
            return "fail", "ModelCheckpoint never saved a file", 0, {}
        expected = {key: tuple(value.shape) for key, value in pl_module.state_dict().items()}
        steps = {}
        for path in paths:
            steps[path], fault = inspect_checkpoint(path, expected)
            if fault:
                return "fail", f"{os.path.basename(path)} {fault}", 0, {"path": str(path)}
        newest = max(steps, key=lambda path: steps[path])
        name = os.path.basename(newest)
        facts = {"path": str(newest), "global_step": steps[newest], "bytes": os.path.getsize(newest)}
        if self.require_final and steps[newest] != trainer.global_step:
            found = f"is of step {steps[newest]}, the run ended at step {trainer.global_step}"
            return "fail", f"the newest checkpoint {name} {found}", 0, facts
        text = f"{name} loads, is finite, matches the model at step {steps[newest]}"
        if self.forward and steps[newest] == trainer.global_step and self._batch is not None:
            device = trainer.strategy.root_device
            difference, obstacle = compare_forward(newest, pl_module, self._batch, device)
            facts["forward_difference"] = difference
            if difference is None:
                text += f"; its forward pass was not compared: {obstacle}"
            elif not difference <= self.tolerance:
                found = f"({obstacle}, relative difference {difference:.3g})"
                return "fail", f"{name} gives other outputs than the model in memory {found}", 0, facts
            else:
                text += ", gives the same outputs"
        return "pass", text, len(steps), facts


def inspect_checkpoint(path: str, expected: Mapping[str, tuple[int, ...]]) -> tuple[int, str]:
    """(global_step, fault) of a Lightning checkpoint against the model's ``{key: shape}``; no fault is ''."""
    if not os.path.exists(path):
        return -1, "does not exist"
    if os.path.isdir(path):
        return -1, "is a folder (sharded); only single-file checkpoints can be verified"
    try:
        checkpoint = read_saved(path, mapped=True)
    except DamagedFileError as fault:
        return -1, str(fault)
    except Exception as error:  # truncated, foreign or unsafe: whatever it is, the finding is that it does not load
        return -1, f"does not load with weights_only=True: {in_one_line(error)}"
    held = checkpoint if isinstance(checkpoint, dict) else {}
    step, state = held.get("global_step"), held.get("state_dict")
    if not isinstance(step, int) or not isinstance(state, dict):
        return -1, "is no checkpoint of a run: it lacks its global_step or its state_dict"
    found = {str(key): tuple(getattr(value, "shape", ())) for key, value in state.items()}
    if absent := sorted(expected.keys() - found.keys()):
        return step, f"lacks {len(absent)} keys of the model, the first is {absent[0]}"
    if extra := sorted(found.keys() - expected.keys()):
        return step, f"has {len(extra)} keys that the model lacks, the first is {extra[0]}"
    for key, shape in expected.items():
        if found[key] != shape:
            return step, f"has {key} of shape {found[key]}, the model has {shape}"
    for part in ("state_dict", "optimizer_states"):
        for key, value in named_floats(checkpoint.get(part, {}), part):
            if not all_finite(value):
                return step, f"holds non-finite values in {key}"
    return step, ""
