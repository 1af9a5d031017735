"""Imports the training command once; then, for each line ``<moment> <overrides…>`` on stdin, forks a child that trains
and kills itself with SIGKILL at that moment (0: never). Prints how it ended.

A moment is a training or validation step that begins, half a checkpoint on the disk, a file about to take its name,
or metrics about to be appended.
"""

from __future__ import annotations

import gc
import io
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra import compose
from lightning.pytorch.loggers import CSVLogger

from wotempo.config.composition import loaded
from wotempo.experiment import run as train
from wotempo.training import checkpoints
from wotempo.training.module import LitPlanner

STEPS = "steps.txt"  # one line per training step, in the order of all attempts: step, loss, tokens


class Killer:
    def __init__(self, moment: int) -> None:
        self.left = moment

    def look(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*args: Any, **kwargs: Any) -> Any:
            self.look()
            return plain(*args, **kwargs)

        return looked

    def write(self, checkpoint: dict[str, Any], file: Any) -> None:
        whole = io.BytesIO()
        plain_save(checkpoint, whole)
        data = whole.getvalue()
        file.write(data[: len(data) // 2])
        file.flush()
        self.look()
        file.write(data[len(data) // 2 :])


plain_save = torch.save


def recorded(plain: Callable[..., Any], file: Path) -> Callable[..., Any]:
    def step(self: LitPlanner, batch: dict[str, Any], batch_idx: int) -> Any:
        loss = plain(self, batch, batch_idx)
        with file.open("a") as lines:
            lines.write(f"{self.global_step} {float(loss.detach()):.9f} {' '.join(batch['tokens'])}\n")
        return loss

    return step


def attempt(moment: int, overrides: list[str]) -> int:
    with loaded():
        config = compose("train", overrides=overrides)
    killer = Killer(moment)
    LitPlanner.training_step = killer.before(recorded(LitPlanner.training_step, Path(f"{config.run_dir}.{STEPS}")))
    LitPlanner.validation_step = killer.before(LitPlanner.validation_step)
    checkpoints.torch.save = killer.write
    os.replace = killer.before(os.replace)
    CSVLogger.save = killer.before(CSVLogger.save)
    return train.work(config)


def main() -> None:
    torch.set_num_threads(1)
    gc.freeze()  # else each child's collector would look at, and copy, all that is imported
    print("ready", flush=True)
    for line in sys.stdin:
        moment, *overrides = shlex.split(line)
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)
            os._exit(attempt(int(moment), overrides))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
