"""The parts of a run: its module, its callbacks, its trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar
from lightning.pytorch.plugins.environments import SLURMEnvironment

from callbacks import AcceptanceReport, FailureRecorder, Guard
from wotempo.checkpoints.image_encoder import load_image_encoder
from wotempo.checkpoints.init_from import start_from
from wotempo.config.criteria import build_criterion
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.navsim import fingerprint
from wotempo.preparation.prepare import Prepared
from wotempo.records.seal import seal_of
from wotempo.runs.out_of_memory import OutOfMemoryPolicy
from wotempo.runs.pending_row import PendingRow
from wotempo.runs.preemption import StopSignal
from wotempo.runs.random_state import RandomState
from wotempo.system_errors import limit_reached
from wotempo.training.averaging import RunningAverage
from wotempo.training.checkpoints import BEST, AtomicCheckpointIO, RunCheckpoint, StepCheckpoint
from wotempo.training.clock import StepClock
from wotempo.training.early_stopping import EarlyStop
from wotempo.training.history_evidence import HistoryEvidence
from wotempo.training.module import LitPlanner


def build_module(config: RunConfig, prepared: Prepared) -> tuple[LitPlanner, dict[str, Any]]:
    """The LightningModule, and a record of the weights that it starts from."""
    module = LitPlanner(
        model=config.model.to_dict(),
        fusion=config.fusion,
        optimiser=asdict(config.optimiser),
        losses=config.losses,
        anchors=prepared.anchors,
        anchors_fingerprint="" if prepared.anchors is None else fingerprint(prepared.anchors),
        planner=config.planner,
    )
    started: dict[str, Any] = {}
    if config.image_checkpoint is not None:
        started["image_checkpoint"] = load_image_encoder(module.model, Path(config.image_checkpoint))
    if config.init_from is not None:
        started["init_from"] = start_from(module, Path(config.init_from))
    return module, started


def build_callbacks(
    config: RunConfig,
    run_dir: Path,
    facts: dict[str, Any],
    rests_on: Callable[[], dict[str, Any]],
    stop_signal: StopSignal,
    memory_policy: OutOfMemoryPolicy,
    judged: bool = True,
) -> tuple[list[L.Callback], AcceptanceReport, StepCheckpoint]:
    """``judged``: the validation split has targets, so that there is a best checkpoint."""
    guards: list[Guard] = [build_criterion(f"acceptance.{key}", options) for key, options in config.acceptance.items()]
    report = AcceptanceReport(run_dir, facts, memory_policy.reason, rests_on, seal_of, limit_reached)
    folder = run_dir / "checkpoints"
    checkpoints = [RunCheckpoint(folder, "last", save_on_train_epoch_end=True)]
    if config.trainer.limit_val_batches != 0 and judged:
        checkpoints.append(RunCheckpoint(folder, BEST, monitor="val/ade"))
    steps = StepCheckpoint(folder, config.trainer.checkpoint_every_n_steps, stop_signal)
    # Behind the guards, whose hooks on the validated batch are gone by then, and before the report that it informs.
    evidence = HistoryEvidence(record=partial(report.facts.__setitem__, "history"))
    recorder = FailureRecorder(run_dir / "failure", record=partial(report.facts.__setitem__, "failure"))
    callbacks: list[L.Callback] = [recorder, *guards, evidence, report, *checkpoints, steps]
    callbacks += [LearningRateMonitor(), StepClock(), RandomState(), PendingRow()]
    if config.trainer.ema is not None:
        callbacks.append(RunningAverage(config.trainer.ema))
    if config.trainer.early_stopping is not None:
        least = config.acceptance["complete"]["min_epochs"]
        callbacks.append(EarlyStop(least, **config.trainer.early_stopping))
    if config.trainer.progress_bar:
        callbacks.append(RichProgressBar())
    return callbacks, report, steps


def require_trainer(config: RunConfig, run_dir: Path) -> None:
    """UserError where Lightning refuses its options: before anything is prepared for a trainer that cannot be."""
    try:
        build_trainer(config, run_dir, [], [])
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        given = ", ".join(f"{name}={value}" for name, value in config.trainer.options().items() if value is not None)
        raise UserError(
            f"Lightning refuses the options of trainer ({' '.join(str(error).split())}): {given}"
        ) from error


def build_trainer(config: RunConfig, run_dir: Path, loggers: list, callbacks: list[L.Callback]) -> L.Trainer:
    plugins: list[Any] = [AtomicCheckpointIO()]
    if SLURMEnvironment.detect():  # tasks of srun; their signals belong to StopSignal
        plugins.append(SLURMEnvironment(auto_requeue=False))
    return L.Trainer(
        default_root_dir=run_dir,
        logger=loggers,
        callbacks=callbacks,
        plugins=plugins,
        enable_model_summary=False,
        enable_progress_bar=config.trainer.progress_bar,
        **config.trainer.options(),
    )
