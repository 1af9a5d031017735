"""Where a run's numbers go: CSV always, wandb offline unless told otherwise."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.loggers import Logger, WandbLogger

from wotempo.commands.config import RunConfig
from wotempo.commands.metrics_file import MetricsFile
from wotempo.errors import UserError

MODES = ("offline", "online", "off")


def build_loggers(config: RunConfig, run_dir: Path, facts: dict[str, Any], resume_step: int = 0) -> list[Logger]:
    """CSV below ``run_dir/metrics``; wandb with one group per run signature, and one run in it per attempt."""
    loggers: list[Logger] = []
    if config.tracking.csv:
        loggers.append(MetricsFile(run_dir, resume_step))
    mode = config.tracking.wandb
    if mode not in MODES:
        raise UserError(f"tracking.wandb is '{mode}'; set it to {', '.join(MODES)}")
    if mode == "online" and not (os.environ.get("WANDB_API_KEY") or (Path.home() / ".netrc").exists()):
        raise UserError("tracking.wandb=online needs a key: run 'wandb login', or set tracking.wandb=offline")
    if mode != "off":
        import wandb

        logger = WandbLogger(
            project=config.tracking.project,
            name=f"{config.name}-{facts['signature']}",
            group=facts["signature"],
            job_type="train",
            tags=[config.data.kind, config.fusion["name"], *config.tracking.tags],
            save_dir=str(run_dir),
            offline=mode == "offline",
            config={**asdict(config), "facts": facts},
            settings=wandb.Settings(silent=True, mode=cast(Any, mode)),
        )
        logger._wandb_init.pop("anonymous", None)  # Lightning always passes it, and wandb warns that it means nothing
        _ = logger.experiment  # start now: trouble with the service must show before the first step
        loggers.append(logger)
    return loggers


def close_wandb(loggers: list[Logger], verdict: dict[str, Any], pictures: list[Path]) -> None:
    """Pictures, the verdict as summary, and an explicit finish: the logger does not mark a failed run as failed."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            run = logger.experiment
            if pictures:
                run.log({"scenes": [wandb.Image(str(path), caption=path.stem) for path in pictures]})
            run.summary["verdict"] = verdict["status"]
            run.summary["reason"] = verdict["reason"]
            for criterion in verdict["criteria"]:
                run.summary[f"criteria/{criterion['name']}"] = criterion["status"]
            run.finish(exit_code=verdict["exit_code"])
