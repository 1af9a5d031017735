"""The loggers of a run: CSV always; wandb, offline unless ``tracking.mode`` says otherwise (docs/wandb.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from callbacks.base.plain import in_one_line
from callbacks.verdict.report import UNFINISHED
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.runs.metrics_file import MetricsFile
from wotempo.tracking.artifacts import log_artifacts
from wotempo.tracking.media import log_media
from wotempo.tracking.options import wandb_options
from wotempo.tracking.spared import SparedWandbLogger, forget_run
from wotempo.tracking.summary import alerts_of, scores_of, summary_of
from wotempo.tracking.tags import job_type_of, label, tags_of, variant_of


def build_loggers(config: RunConfig, run_dir: Path, facts: dict[str, Any], resume_step: int = 0) -> list[Logger]:
    """CSV below ``run_dir/metrics``; wandb with one group per run signature, and one run in it per attempt."""
    loggers: list[Logger] = []
    if config.tracking.csv:
        loggers.append(MetricsFile(run_dir, resume_step))
    if config.tracking.wandb != "off":
        loggers.append(_wandb_logger(config, run_dir, facts))
    return loggers


def _wandb_logger(config: RunConfig, run_dir: Path, facts: dict[str, Any]) -> SparedWandbLogger:
    import wandb

    options = wandb_options(config.tracking)
    if (mode := options["settings"].mode) != config.tracking.wandb:
        facts["wandb"] = f"{mode}, since the service did not answer"
    logger = SparedWandbLogger(
        name=label(f"{config.name}-{facts['signature']}"),
        group=facts["signature"],
        job_type=job_type_of(run_dir),
        tags=tags_of(config, run_dir),
        notes=facts["note"] or None,
        save_dir=str(run_dir),
        offline=mode == "offline",
        config={**asdict(config), "variant": variant_of(config, run_dir), "facts": facts},
        **options,
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning always passes it, and wandb warns that it means nothing
    try:
        run = logger.experiment  # start now: trouble with the service must show before the first step
    except wandb.errors.Error as error:
        raise UserError(
            f"wandb does not take this run ({' '.join(str(error).split())[:200]}): set tracking.wandb=offline and run "
            "make wandb-sync later"
        ) from error
    # As in verdict.json: *incomplete* stands there from the start, since a killed process cannot write it later.
    run.summary.update({"verdict": "incomplete", "reason": UNFINISHED})
    return logger


def _of_wandb(loggers: Sequence[Logger]) -> Iterator[SparedWandbLogger]:
    return (logger for logger in loggers if isinstance(logger, SparedWandbLogger))


def tell_verdict(loggers: Sequence[Logger], verdict: dict[str, Any], metrics: dict[str, float]) -> None:
    """The verdict as summary, and an alert for what failed; at once, before a test that may take hours."""

    def tell(run: Any) -> None:
        run.summary.update(summary_of(verdict, metrics))
        for alert in alerts_of(verdict):
            run.alert(**asdict(alert))

    for logger in _of_wandb(loggers):
        logger.spare(partial(tell, logger.experiment))


def close_wandb(
    loggers: Sequence[Logger],
    verdict: dict[str, Any],
    run_dir: Path,
    artifacts: Sequence[str] = (),
    pictures: Sequence[Path] = (),
) -> None:
    """Test scores, pictures, artifacts, and an explicit finish: the logger does not mark a failed run as failed."""

    def close(run: Any) -> None:
        run.summary.update(scores_of(run_dir))
        log_media(run, run_dir, pictures)
        log_artifacts(run, run_dir, verdict, artifacts)

    for logger in _of_wandb(loggers):
        logger.spare(partial(close, logger.experiment))
        logger.end(verdict["exit_code"])


def abandon_wandb(exit_code: int) -> None:
    """End a wandb run that is still open, as what it was: the next job of a sweep must not write into it."""
    if (wandb := sys.modules.get("wandb")) is not None and wandb.run is not None:
        try:
            wandb.run.finish(exit_code=exit_code)
        except Exception as error:  # the run has its verdict
            print(f"wandb's run could not be ended ({in_one_line(error)})")
            forget_run()
