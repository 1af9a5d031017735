"""Checkpoints for continuing a killed run: written whole or not at all, every few minutes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from callbacks.base.checksum import DamagedFileError, read_saved, with_checksum
from wotempo.errors import UserError
from wotempo.system_errors import writing

SECONDS_BETWEEN = 600.0
STEPS_PER_LOOK = 10  # ranks must agree that it is time, which costs a broadcast
KEPT = 2
BEST, STEP = "best", "step-"
PATHS = {"best_model_path", "kth_best_model_path", "last_model_path"}  # in the state of ModelCheckpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the final name, brings the bytes to the disk, and renames.

    Lightning's own writes to the system's temporary folder, from where a file is *copied* to another file system: a
    process killed meanwhile leaves half a file under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        final = Path(path)
        partial = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        try:
            with writing(final, partial):
                final.parent.mkdir(parents=True, exist_ok=True)
                with partial.open("wb") as file:
                    torch.save(with_checksum(checkpoint), file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, final)
        finally:
            partial.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        """On the CPU, plain data and tensors only: devices and kinds that are asked for else are not followed."""
        try:
            return cast(dict[str, Any], read_saved(path))
        except DamagedFileError as error:
            raise UserError(f"{path} {error}") from None


class RunCheckpoint(ModelCheckpoint):
    """``<filename>.ckpt`` in ``folder``, which may be moved, copied or renamed between two attempts of a run.

    A checkpoint holds the folder as an absolute path. Where that is another one now, Lightning's own callback forgets
    the best score, and the next validation writes over a better ``best.ckpt``; here the folder is what it is now.
    """

    def __init__(self, folder: Path, filename: str, **options: Any) -> None:
        # Without a counter: a resumed run writes over the files of the attempt before.
        super().__init__(folder, filename, enable_version_counter=False, **options)

    @property
    def state_key(self) -> str:
        """That of the class above: checkpoints from before this one existed are read as well."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        folder = Path(str(self.dirpath))
        state = dict(state_dict)
        for name in PATHS & state.keys():
            if state[name]:
                state[name] = str(folder / Path(state[name]).name)
        state["dirpath"] = self.dirpath
        state["best_k_models"] = {str(folder / Path(path).name): s for path, s in state["best_k_models"].items()}
        if self.monitor is not None and state["best_k_models"] and not Path(state["best_model_path"]).is_file():
            print(f"{state['best_model_path']} is not there any more: the next validation writes it anew", flush=True)
            return
        super().load_state_dict(state)


class StopRequest(Protocol):
    """The scheduler's wish to end this process (of several: the first): ``received`` names the signal."""

    received: str

    def leave(self) -> NoReturn: ...


class StepCheckpoint(Checkpoint):
    """``step-<global_step>.ckpt`` in ``folder`` every ``every_n_steps`` optimiser steps (None: every ten minutes), and
    when the run is stopped in the middle of an epoch (time limit; SIGTERM in a run of one process). Keeps the last two.

    ``stop_signal``: once it is received, the run ends behind the checkpoint of that step, or between two batches of a
    validation, inside of which nothing can be saved.

    The end of an epoch is left to ``last.ckpt``. List it behind ``ModelCheckpoint``, which trainers take for the first.
    """

    def __init__(self, folder: Path, every_n_steps: int | None = None, stop_signal: StopRequest | None = None) -> None:
        self.folder = folder
        self.stop_signal = stop_signal
        self.every_n_steps = every_n_steps
        self.metrics: dict[str, float] = {}  # of the checkpoint that a run was continued from
        self._saved_step = 0
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        batches = trainer.fit_loop.epoch_loop.batch_progress
        between_steps = batches.current.ready % trainer.accumulate_grad_batches == 0
        ends_epoch = batches.is_last_batch or batches.current.ready >= trainer.num_training_batches
        if ends_epoch or not between_steps:
            return
        must_stop = self._must_stop(trainer, trainer.global_step)
        if trainer.global_step != self._saved_step and (must_stop or self._due(trainer)):
            self._save(trainer)
        if must_stop and self.stop_signal is not None:
            self.stop_signal.leave()

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        fitting = trainer.state.fn == TrainerFn.FITTING
        if fitting and self._must_stop(trainer, batch_idx) and self.stop_signal is not None:
            self.stop_signal.leave()

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.folder / f"{STEP}{trainer.global_step}.ckpt")
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        if trainer.is_global_zero:
            for old in step_files(self.folder)[:-KEPT]:
                old.unlink()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["metrics"] = {name: float(value) for name, value in trainer.callback_metrics.items()}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.metrics = dict(checkpoint.get("metrics", {}))
        recount(trainer, checkpoint)
        checkpoint["callbacks"].pop("Timer", None)  # trainer.max_time limits an attempt, not the run

    def _must_stop(self, trainer: L.Trainer, position: int) -> bool:
        """Whether the signal came: the same on all ranks, since all have to end at the same batch."""
        received = self.stop_signal is not None and bool(self.stop_signal.received)
        if trainer.world_size == 1:
            return received
        return position % STEPS_PER_LOOK == 0 and trainer.strategy.broadcast(received)

    def _due(self, trainer: L.Trainer) -> bool:
        if trainer.should_stop or (trainer.world_size == 1 and trainer.received_sigterm):
            return True
        if self.every_n_steps is not None:
            return trainer.global_step % self.every_n_steps == 0
        if trainer.global_step % STEPS_PER_LOOK:
            return False
        return trainer.strategy.broadcast(time.monotonic() - self._saved_at >= SECONDS_BETWEEN)


def recount(trainer: L.Trainer, checkpoint: dict[str, Any]) -> None:
    """Counts of batches, where they are smaller now than when ``checkpoint`` was written (out of memory, halved)."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit, without declaring it
    before = checkpoint.get(type(data).__qualname__, {}).get("batch_size")
    if before is None or before == data.batch_size:
        return
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counts in (progress["current"], progress["total"]):
        behind = counts["processed"] - counts["completed"]  # by this Lightning knows where in a batch it saved
        for name in counts:
            counts[name] = counts["processed"] * before // data.batch_size
        counts["completed"] -= behind


def step_files(folder: Path) -> list[Path]:
    """The step checkpoints in ``folder``, oldest first."""
    return sorted(folder.glob(f"{STEP}*.ckpt"), key=lambda path: int(path.stem.removeprefix(STEP)))
