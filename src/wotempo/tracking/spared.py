"""The logger of wandb that a run outlives: what wandb raises after its start costs what it would show, not the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from callbacks.base.plain import in_one_line
from wotempo.tracking.options import FINISH_S

UNSENT = ".wandb.unsent"  # beside run-<id>.wandb of an online run whose end the service did not take


def forget_run() -> None:
    """A run that could not be ended must not be taken for the one of the next job."""
    import wandb
    from wandb.sdk.lib import module

    if wandb.run is not None:
        module.unset_globals()


class SparedWandbLogger(WandbLogger):
    """``lost``: what wandb raised; from then on nothing more is given to it but the end of the run."""

    lost = ""

    def spare(self, act: Callable[[], Any]) -> None:
        """Do something with wandb, unless it was lost; the first error is said, and is none of the run."""
        if self.lost:
            return
        try:
            act()
        except Exception as error:  # of its process, its service or its network: nothing of the run rests on it
            self.lost = in_one_line(error)[:200]
            print(f"wandb was lost ({self.lost}): the run goes on without it, make wandb-sync uploads what it kept")

    def log_metrics(self, *arguments: Any, **keywords: Any) -> None:
        self.spare(partial(super().log_metrics, *arguments, **keywords))

    def log_hyperparams(self, *arguments: Any, **keywords: Any) -> None:
        self.spare(partial(super().log_hyperparams, *arguments, **keywords))

    def finalize(self, status: str) -> None:
        self.spare(partial(super().finalize, status))

    def end(self, exit_code: int) -> None:
        """The end of wandb's run, for which it waits at most ``FINISH_S`` seconds."""
        run, before = self.experiment, self.lost
        file = Path(str(run.settings.sync_file))
        self.lost = ""
        self.spare(partial(run.finish, exit_code=exit_code))
        forget_run()
        if not self.lost and getattr(run, "_finish_timed_out", False):
            self.lost = f"its service did not take the rest within {FINISH_S:.0f} s"
            print(f"wandb: {self.lost}: it stays in {file.parent}, make wandb-sync uploads it")
        self.lost = before or self.lost
        if self.lost and not run.offline and file.is_file():
            file.with_suffix(UNSENT).touch()
