"""All faults of docs/fault_matrix.md, by section."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import faults_evidence
import faults_files
import faults_history
import faults_numbers
from endings import ENDINGS, told
from fault import Fault, around, striking

from callbacks import CompleteGuard, Guard

SECTIONS: dict[str, list[Fault]] = {
    "Numbers": [*faults_numbers.FINITE, *faults_numbers.LOSS, *faults_numbers.RATE],
    "Memory and time": [*faults_numbers.MEMORY, *faults_numbers.TIME],
    "Shapes": faults_history.SHAPES,
    "History, poses, alignment, gradient": [
        *faults_history.HISTORY,
        *faults_history.EGO_MOTION,
        *faults_history.WARP,
        *faults_history.GRADIENT,
    ],
    "Checkpoints": faults_files.CHECKPOINT,
    "Stopped before the target": faults_files.COMPLETE,
    "Plans": faults_evidence.PLAN,
    "Learning": faults_evidence.LEARNING,
    "Labels": faults_evidence.LABELS,
    "Splits": faults_evidence.SPLITS,
    "Sensors": faults_evidence.SENSORS,
    "Other criteria, further faults": faults_evidence.OLDER,
}
FAULTS = [fault for faults in SECTIONS.values() for fault in faults]


def crash(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    if striking(module):
        raise KeyError("speed_limit")
    return original(batch, batch_idx)


def interrupt(trainer: Any, module: Any) -> None:
    raise KeyboardInterrupt


# Endings of rank 1 alone: nobody can agree on them, but the verdict must still say what happened.
ALONE = [
    Fault("exception in the training step", "", 20, "KeyError", status="crashed", exit_code=1,
          change=around("training_step", crash)),
    Fault("KeyboardInterrupt", "", 20, "interrupted from the keyboard", "none", status="incomplete", exit_code=15,
          at=interrupt),
    Fault("SIGTERM", "", 20, "SIGTERM", "none", status="incomplete", exit_code=143,
          at=lambda trainer, module: told(signal.SIGTERM)(trainer)),
]  # fmt: skip


def alone(name: str, **expected: Any) -> Fault:
    """A fault of the matrix that all ranks share there, on rank 1 alone."""
    fault = next(fault for fault in FAULTS if fault.name == name)
    return replace(fault, name=f"{name}, on rank 1 alone", ranks="one", **expected)


def impatient(guilty: bool) -> dict[str, Guard]:
    return {"complete": CompleteGuard(patience=2)}


# What only several ranks can have. One that is killed leaves no verdict of its own: rank 0 tells of a lost connection.
TWO_RANKS = [
    Fault("rank 1 has fewer batches", "complete", 0, "the ranks have 48, 30 batches", "weights", status="incomplete",
          batches=30),
    alone("stopped by should_stop", says="rank 1 alone stopped after 20 steps: trainer.should_stop", evidence="weights",
          guards=impatient),
    alone("an epoch ends before its last batch", says="rank 1 alone stopped after 20 steps: an epoch ended",
          evidence="step", guards=impatient),
    alone("loss is flat", says="the loss of rank 1 does not fall while that of the others does"),
    alone("too few valid frames", says="of the history frames of rank 1 exist"),
    Fault("rank 1 is killed by SIGKILL", "", 20, "", status="crashed", exit_code=1,
          at=lambda trainer, module: told(signal.SIGKILL)(trainer)),
]  # fmt: skip
BY_NAME = {fault.name: fault for fault in [*FAULTS, *ALONE, *TWO_RANKS]}
assert {fault.name for fault in ALONE} <= {ending.name for ending in ENDINGS}
