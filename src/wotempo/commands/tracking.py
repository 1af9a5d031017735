"""Where a run's numbers go: CSV always, wandb offline unless told otherwise."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from wotempo.commands.config import RunConfig
from wotempo.errors import UserError

MODES = ("offline", "online", "off")


def build_loggers(config: RunConfig, run_dir: Path, group: str, facts: dict[str, Any]) -> list[Logger]:
    """CSV below ``run_dir/metrics``; wandb with one group per run signature."""
    loggers: list[Logger] = []
    if config.tracking.csv:
        loggers.append(CSVLogger(str(run_dir), name="metrics", version=""))
    mode = config.tracking.wandb
    if mode not in MODES:
        raise UserError(f"tracking.wandb is '{mode}'; set it to {', '.join(MODES)}")
    if mode == "online" and not (os.environ.get("WANDB_API_KEY") or (Path.home() / ".netrc").exists()):
        raise UserError("tracking.wandb=online needs a key: run 'wandb login', or set tracking.wandb=offline")
    if mode != "off":
        import wandb

        wandb.setup(wandb.Settings(silent=True))
        loggers.append(
            WandbLogger(
                project=config.tracking.project,
                name=f"{config.name}-{group}",
                group=group,
                job_type="train",
                tags=[config.data.kind, config.fusion["name"], *config.tracking.tags],
                save_dir=str(run_dir),
                offline=mode == "offline",
                config={**asdict(config), **facts},
            )
        )
    return loggers


def close_wandb(loggers: list[Logger], exit_code: int, pictures: list[Path]) -> None:
    """Media, then an explicit finish: the logger itself does not mark a failed run as failed."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            if pictures:
                logger.experiment.log({"scenes": [wandb.Image(str(p), caption=p.stem) for p in pictures]})
            logger.experiment.finish(exit_code=exit_code)
