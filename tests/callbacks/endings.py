"""How a run can be ended from outside or by a crash, with the checkpoints that the project's command writes."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from fault_run import evidence, finite
from fresh_process import fresh, joined
from lightning.pytorch.callbacks import ModelCheckpoint
from toy_drive import loader
from toy_run import ToyModule, all_guards, toy_trainer

from callbacks import AcceptanceReport, FailureRecorder
from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.runs.preemption import StopSignal
from wotempo.system_errors import limit_reached
from wotempo.training.checkpoints import AtomicCheckpointIO, StepCheckpoint

EPOCH = 24
STRIKE = 30  # in the second of two epochs; step files are written at 8, 16, 32 and 40


@dataclass(frozen=True)
class Ending:
    """One row of docs/fault_matrix.md.

    strike: what happens right after step STRIKE.
    status, exit_code: of the verdict that is found afterwards; process_code: of the process, negative for a signal.
    step: of that verdict; resumed: step of the checkpoint that a next attempt continues from.
    """

    name: str
    strike: Callable[[L.Trainer], None]
    status: str
    exit_code: int
    process_code: int
    says: str
    step: int = STRIKE
    resumed: int = EPOCH
    evidence: str = "none"


class Strike(L.Callback):
    def __init__(self, ending: Ending) -> None:
        self.ending = ending

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == STRIKE:
            self.ending.strike(trainer)


class Batches:
    """Of one epoch, each time anew; ``broken`` makes the next one raise."""

    broken = False

    def __len__(self) -> int:
        return EPOCH

    def __iter__(self) -> Iterator[Any]:
        for batch in loader(EPOCH):
            if self.broken:
                raise OSError("the disk of the data is gone")
            yield batch


def told(number: signal.Signals) -> Callable[[L.Trainer], None]:
    return lambda trainer: os.kill(os.getpid(), number)


def interrupt(trainer: L.Trainer) -> None:
    raise KeyboardInterrupt


def crash_in_the_next_step(trainer: L.Trainer) -> None:
    def step(batch: Any, batch_idx: int) -> Any:
        raise KeyError("speed_limit")

    trainer.lightning_module.training_step = step


def break_the_loader(trainer: L.Trainer) -> None:
    trainer.fit_loop._data_source.instance.broken = True


def leave_with_three(trainer: L.Trainer) -> None:
    raise SystemExit(3)


def half_a_file(then: Callable[[], None]) -> Callable[[L.Trainer], None]:
    """The next checkpoint is cut in its middle by what ``then`` does."""

    def arm(trainer: L.Trainer) -> None:
        whole = torch.save

        def save(tree: Any, file: Any) -> None:
            buffer = io.BytesIO()
            whole(tree, buffer)
            file.write(buffer.getvalue()[: buffer.tell() // 2])
            file.flush()
            then()

        torch.save = save  # this process ends soon

    return arm


def half_a_verdict(trainer: L.Trainer) -> None:
    whole = Path.write_text

    def write(path: Path, text: str, **options: Any) -> None:
        whole(path, text[: len(text) // 2], **options)
        killed()

    Path.write_text = write  # this process ends soon


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def disk_is_full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


UNKNOWN = "the run has not ended, or was killed"
ENDINGS = [
    Ending("exception in the training step", crash_in_the_next_step, "crashed", 1, 1, "KeyError", evidence="step"),
    Ending("exception in the loader", break_the_loader, "crashed", 1, 1, "OSError: the disk of the data is gone"),
    Ending("SystemExit(3) in a callback", leave_with_three, "crashed", 3, 3, "SystemExit"),
    Ending("KeyboardInterrupt", interrupt, "incomplete", 15, 15, "interrupted from the keyboard"),
    Ending("SIGINT", told(signal.SIGINT), "incomplete", 15, 15, "interrupted from the keyboard"),
    Ending("SIGTERM", told(signal.SIGTERM), "incomplete", 143, 143, "SIGTERM", resumed=STRIKE),
    Ending("SIGUSR1 (time limit, preemption)", told(signal.SIGUSR1), "incomplete", 15, 15, "SIGUSR1", resumed=STRIKE),
    Ending("SIGKILL in a step", told(signal.SIGKILL), "incomplete", 15, -9, UNKNOWN, step=EPOCH),
    Ending("SIGKILL in the writing of a checkpoint", half_a_file(killed), "incomplete", 15, -9, UNKNOWN, step=EPOCH),
    Ending("SIGKILL in the writing of the verdict", half_a_verdict, "incomplete", 15, -9, UNKNOWN, step=EPOCH,
           resumed=40),
    Ending("disk full in the writing of a checkpoint", half_a_file(disk_is_full), "incomplete", 2, 2, "disk is full",
           step=32),
]  # fmt: skip
BY_NAME = {ending.name: ending for ending in ENDINGS}


@dataclass(frozen=True)
class Left:
    """What somebody finds who looks at the folder after the end."""

    status: str
    exit_code: int
    process_code: int
    reason: str
    step: int
    resumed: int
    clean: bool
    torn: list[str]
    evidence: str


def run(ending: Ending, folder: Path) -> int:
    """As the command does: the exit code is that of the report."""
    torch.manual_seed(0)
    stop_signal = StopSignal()
    report = AcceptanceReport(folder, limit=limit_reached)
    files = folder / "checkpoints"
    saver = ModelCheckpoint(files, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    recorder = FailureRecorder(folder / "failure")
    callbacks = [Strike(ending), recorder, *all_guards(), report, saver, StepCheckpoint(files, 8, stop_signal)]
    trainer = toy_trainer(folder, *callbacks, max_epochs=2, plugins=[AtomicCheckpointIO()])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit "ignored"
    with stop_signal.listening(), stop_signal.waiting():
        try:
            trainer.fit(ToyModule(), Batches(), loader(2))
        except BaseException:
            return report.exit_code
    return report.exit_code


def process(name: str, folder: Path) -> None:
    sys.exit(run(BY_NAME[name], folder))


def observe_ending(name: str, folder: Path) -> Left:
    child = fresh(process, name, folder)
    assert not joined([child]), f"{name}: the run hangs"
    verdict = json.loads((folder / "verdict.json").read_text())
    path, step, torn = newest_checkpoint(folder / "checkpoints")
    weights = torch.load(path, weights_only=True)["state_dict"] if path else {}
    return Left(
        status=verdict["status"],
        exit_code=verdict["exit_code"],
        process_code=child.exitcode,
        reason=verdict["reason"],
        step=verdict["steps"],
        resumed=step,
        clean=bool(weights) and finite(weights),
        torn=torn,
        evidence=evidence(folder / "failure"),
    )
