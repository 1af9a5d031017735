"""All faults of docs/fault_matrix.md, by section."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import faults_files
import faults_history
import faults_numbers
from endings import ENDINGS, told
from fault import Fault, around, striking

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
# What only several ranks can have. One that is killed leaves no verdict of its own: rank 0 tells of a lost connection.
TWO_RANKS = [
    Fault("rank 1 has fewer batches", "complete", 0, "the ranks have 48, 30 batches", "weights", status="incomplete",
          batches=30),
    Fault("rank 1 is killed by SIGKILL", "", 20, "", status="crashed", exit_code=1,
          at=lambda trainer, module: told(signal.SIGKILL)(trainer)),
]  # fmt: skip
# Known not to be found: these criteria judge what all ranks saw together.
OUTWEIGHED = [
    replace(fault, name=f"{fault.name}, on rank 1 alone", criterion="", says="none failed", status="accepted",
            exit_code=0, ranks="one")
    for fault in FAULTS if fault.name in ("loss is flat", "too few valid frames")
]  # fmt: skip
BY_NAME = {fault.name: fault for fault in [*FAULTS, *ALONE, *TWO_RANKS, *OUTWEIGHED]}
assert {fault.name for fault in ALONE} <= {ending.name for ending in ENDINGS}
