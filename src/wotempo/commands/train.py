"""Train, judge, report: one command, one verdict, one exit code.

python -m wotempo.commands.train experiment=convgru_1epoch [key=value ...]
"""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import sys
import traceback
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import hydra
import lightning as L
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.callbacks import (
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from callbacks import AcceptanceReport, FailureRecorder, Guard, exit_code_of
from callbacks.report import CRASHED, INCOMPLETE, SIGTERM
from wotempo.commands.checks import check_config
from wotempo.commands.config import RunConfig
from wotempo.commands.datamodule import cache_root, data_module
from wotempo.commands.entry import run
from wotempo.commands.init_from import start_from
from wotempo.commands.out_of_memory import FACT, Smaller
from wotempo.commands.pending_row import PendingRow
from wotempo.commands.planning import load_module
from wotempo.commands.preemption import Notice
from wotempo.commands.prepare import Prepared, prepare, window_of
from wotempo.commands.progress import PreparationProgress
from wotempo.commands.provenance import command_line, git_state, signature
from wotempo.commands.random_state import RandomState
from wotempo.commands.scored import TEST_FILE, score_run
from wotempo.commands.stages import cost
from wotempo.commands.tracking import abandon_wandb, build_loggers, close_wandb, tell_verdict
from wotempo.commands.unfinished import FINISHED, LOCK, claim_run_dir, unfinished_runs
from wotempo.data import NavsimDataModule, WindowCollator
from wotempo.errors import UserError
from wotempo.fusion import ORACLES, POINTS, level_of
from wotempo.model.frozen import FrozenEncoder
from wotempo.model.pretrained import load_image_encoder
from wotempo.navsim import fingerprint, write_bytes
from wotempo.navsim.lock import locked
from wotempo.report.scene_picture import draw_samples
from wotempo.training.averaging import RunningAverage
from wotempo.training.checkpoints import BEST, AtomicCheckpointIO, StepCheckpoint, step_files
from wotempo.training.clock import StepClock
from wotempo.training.history_evidence import HistoryEvidence
from wotempo.training.module import LitWoTE, plain
from wotempo.training.samples import collect_samples

OURS = (
    "batch_size",
    "on_oom",
    "num_workers",
    "run_length",
    "ema",
    "threads",
    "progress_bar",
    "checkpoint_every_n_steps",
)
RUN_DIR = "WOTEMPO_RUN_DIR"  # tells the processes of further GPUs where the first one runs


def build_data(config: RunConfig, prepared: Prepared, progress) -> NavsimDataModule:
    trainer, (frames, stride) = config.trainer, window_of(config)
    return data_module(
        config.model,
        config.data,
        prepared.paths,
        cache_root(config.data, config.workspace, prepared.paths),
        prepared.scenes,
        prepared.anchors,
        labels=prepared.labels,
        num_frames=frames,
        frame_stride=stride,
        lidar_stack=level_of(config.fusion) == POINTS,
        batch_size=trainer.batch_size,
        run_length=trainer.run_length,
        num_workers=trainer.num_workers,
        with_motion=config.fusion.get("control") in ORACLES,
        pin_memory=trainer.accelerator == "gpu",
        seed=config.seed,
        progress=progress,
    )


def prepare_data(config: RunConfig) -> tuple[Prepared, NavsimDataModule]:
    """Everything on disk that the run needs, made where it is missing, under a progress bar."""
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        prepared = prepare(config, progress)
        data = build_data(config, prepared, progress)
        data.build_caches()
    return prepared, data


def build_module(config: RunConfig, prepared: Prepared) -> tuple[LitWoTE, dict[str, Any]]:
    """The model and a record of the weights that it starts from."""
    module = LitWoTE(
        model=config.model.to_dict(),
        fusion=config.fusion,
        optimiser=plain(config.optimiser),
        losses=plain(config.losses),
        anchors=prepared.anchors,
        anchors_fingerprint=fingerprint(prepared.anchors),
    )
    started: dict[str, Any] = {}
    if config.image_checkpoint is not None:
        record = load_image_encoder(module.model, Path(config.image_checkpoint))
        started["image_checkpoint"] = plain(record)
    if config.init_from is not None:
        started["init_from"] = start_from(module, Path(config.init_from))
    return module, started


def build_callbacks(
    config: RunConfig, run_dir: Path, facts: dict[str, Any], notice: Notice, smaller: Smaller
) -> tuple[list[L.Callback], AcceptanceReport, StepCheckpoint]:
    guards: list[Guard] = [hydra.utils.instantiate(options) for options in config.acceptance.values()]
    report = AcceptanceReport(run_dir, facts=facts, goes_on=smaller.reason)
    folder = run_dir / "checkpoints"
    # Without a counter: a resumed run writes over the files of the attempt before.
    writer = partial(ModelCheckpoint, folder, enable_version_counter=False)
    checkpoints = [writer(filename="last", save_on_train_epoch_end=True)]
    if config.trainer.limit_val_batches != 0:
        checkpoints.append(writer(filename=BEST, monitor="val/ade"))
    steps = StepCheckpoint(folder, config.trainer.checkpoint_every_n_steps, notice)
    # Behind the guards, whose hooks on the validated batch are gone by then, and before the report that it informs.
    evidence = HistoryEvidence(record=partial(report.facts.__setitem__, "history"))
    recorder = FailureRecorder(run_dir / "failure", record=partial(report.facts.__setitem__, "failure"))
    callbacks: list[L.Callback] = [recorder, *guards, evidence, report, *checkpoints, steps]
    callbacks += [LearningRateMonitor(), StepClock(), RandomState(), PendingRow()]
    if config.trainer.ema is not None:
        callbacks.append(RunningAverage(config.trainer.ema))
    if config.trainer.progress_bar:
        callbacks.append(RichProgressBar())
    return callbacks, report, steps


def save_pictures(config: RunConfig, module: LitWoTE, data: NavsimDataModule, run_dir: Path) -> list[Path]:
    """``samples.npz`` of a few validation scenes with a whole history, and its pictures; none without validation."""
    dataset = data.datasets.get("val")
    if config.tracking.pictures == 0 or dataset is None:
        return []
    whole = np.flatnonzero(dataset.valid.all(1))
    chosen = whole[np.linspace(0, len(whole) - 1, min(config.tracking.pictures, len(whole))).astype(int)]
    if len(chosen) == 0:
        return []
    batch = WindowCollator(dataset, images=True)([dataset[int(index)] for index in chosen])
    samples: dict[str, Any] = collect_samples(module.eval().cpu(), batch, len(chosen))
    np.savez_compressed(run_dir / "samples.npz", **samples)
    return draw_samples(run_dir / "samples.npz", run_dir / "pictures")


def next_step(config: RunConfig) -> str:
    """What to type after an accepted run."""
    if config.trainer.limit_train_batches is not None:
        return "the configuration runs: train a whole epoch (PROFILE=full)"
    if config.data.train.max_scenes is not None:
        return "learning works on a part of the data: make train-convgru-1epoch"
    if config.trainer.max_epochs == 1 and config.fusion["num_frames"] == 1:
        return "make train-convgru-1epoch, then compare: make ablation-fusion"
    if config.trainer.max_epochs == 1:
        return "make train-baseline, then make compare; then make train-convgru-5epoch; then make ablation-fusion"
    return "evaluate it on the test split: make evaluate CKPT=<run>/checkpoints/last.ckpt"


def facts_of(
    config: RunConfig, identity: str, prepared: Prepared, module: LitWoTE, started: dict[str, Any]
) -> dict[str, Any]:
    """What the verdict says about the run besides its criteria."""
    offered = config.model.level(level_of(config.fusion))
    stage = cost(config.fusion["name"], *offered, config.fusion)
    return {
        "name": config.name,
        "data": prepared.name,
        "note": prepared.note,
        "next": next_step(config),
        "signature": identity,
        "command": command_line(),
        "git": git_state(),
        "seed": config.seed,
        "mode": config.model.mode,
        "fusion": config.fusion,
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "fusion_parameters": stage.parameters,
        "fusion_macs": stage.macs,
        "anchors": fingerprint(prepared.anchors),
        "scenes": {stage: len(scenes) for stage, scenes in prepared.scenes.items()},
        **started,
    }


def build_trainer(config: RunConfig, run_dir: Path, loggers: list, callbacks: list[L.Callback]) -> L.Trainer:
    options = asdict(config.trainer)
    for ours in OURS:
        options.pop(ours)
    plugins: list[Any] = [AtomicCheckpointIO()]
    if SLURMEnvironment.detect():  # tasks of srun; their signals belong to Notice
        plugins.append(SLURMEnvironment(auto_requeue=False))
    return L.Trainer(
        default_root_dir=run_dir,
        logger=loggers,
        callbacks=callbacks,
        plugins=plugins,
        enable_model_summary=False,
        enable_progress_bar=config.trainer.progress_bar,
        **options,
    )


def fit(trainer: L.Trainer, module: LitWoTE, data: NavsimDataModule, checkpoint: Path | None) -> BaseException | None:
    """Run to the end, from ``checkpoint`` on -> what ended it early, if anything; the report has written it down."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except BaseException as error:  # SIGTERM and Ctrl-C are no Exceptions; each has its exit code in the report
        return error
    return None


def explain(error: BaseException, report: AcceptanceReport) -> int:
    """Say why the run ended early -> exit code."""
    if isinstance(error, UserError) or getattr(error, "errno", None) == errno.ENOSPC:
        reason = error if isinstance(error, UserError) else f"the disk is full ({error}): free space and start it again"
        print(f"error: {reason}", file=sys.stderr)
        return UserError.exit_code
    if report.status == "crashed":
        traceback.print_exception(error)
    return report.exit_code


def test(config: RunConfig, module: LitWoTE, run_dir: Path) -> None:
    """Score the run on the test split."""
    with PreparationProgress(config.trainer.progress_bar) as progress:
        score_run(config, module, run_dir, progress)


def in_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run_folder(config: RunConfig) -> Path:
    """The folder to run in: beside the new one that Hydra made, that of an unfinished run of this configuration."""
    given = Path(config.run_dir)
    if config.fresh or not HydraConfig.initialized() or in_a_sweep():
        return given
    if Path(HydraConfig.get().runtime.output_dir) != given or not (
        earlier := unfinished_runs(given.parent, signature(config))
    ):
        return given
    if earlier[-1] != given and {member.name for member in given.iterdir()} <= {".hydra"}:
        shutil.rmtree(given)
    return earlier[-1]


def work(raw: DictConfig) -> int:
    """One run -> its exit code. Told to go before it is complete, it goes back into the queue that it came from."""
    config, notice = check_config(raw), Notice()
    with notice.listening():
        code = CRASHED
        try:
            code = hold_folder(config, raw, notice)
        except SystemExit as end:
            code = exit_code_of(end)
            raise
        finally:
            abandon_wandb(code)
            if notice.received and code in (INCOMPLETE, SIGTERM):
                notice.requeue()
    return code


def hold_folder(config: RunConfig, raw: DictConfig, notice: Notice) -> int:
    """``train`` in the run's folder, which no other process may use meanwhile."""
    if getattr(rank_zero_only, "rank", 0) != 0:  # the folder is held by the process that started this one
        config.run_dir = raw.run_dir = os.environ.get(RUN_DIR, config.run_dir)
        return cast(int, train(config, raw, notice))  # several processes do not go on with smaller batches
    config.run_dir = raw.run_dir = os.environ[RUN_DIR] = str(run_folder(config))
    with locked(Path(config.run_dir) / LOCK, config.run_dir):
        while (code := train(deepcopy(config), raw, notice)) is None:
            gc.collect()  # what failed held the memory
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return code


def train(config: RunConfig, raw: DictConfig, notice: Notice) -> int | None:
    """``work`` for the one who holds the run's folder. None: again, with smaller batches."""
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator is 'gpu', but there is no GPU here: set trainer=cpu (make: TRAINER=cpu)")
    run_dir = Path(config.run_dir)
    by_epochs = config.trainer.max_steps == -1
    identity = signature(config)
    claim = claim_run_dir(run_dir, identity, config.reuse, config.fresh, by_epochs)
    if (done := claim.finished) is not None:
        print(f"{run_dir}: {done['status']} before; it is not run again", flush=True)
        if config.test and not (run_dir / TEST_FILE).exists():
            test(config, load_module(run_dir / "checkpoints" / "last.ckpt"), run_dir)
        return int(done["exit_code"])
    smaller = Smaller(config, claim.out_of_memory)
    write_bytes(run_dir / "config.yaml", OmegaConf.to_yaml(raw, resolve=True).encode())
    prepared, data = prepare_data(config)
    if prepared.note:
        print(prepared.note, flush=True)

    L.seed_everything(config.seed, workers=True, verbose=False)
    module, started = build_module(config, prepared)
    facts = facts_of(config, identity, prepared, module, started)
    facts |= {FACT: smaller.past}
    if claim.resumed:
        facts["resumed"] = claim.resumed
    loggers = build_loggers(config, run_dir, facts, claim.step)
    callbacks, report, steps = build_callbacks(config, run_dir, facts, notice, smaller)
    trainer = build_trainer(config, run_dir, loggers, callbacks)
    if config.model.frozen_backbone:
        with PreparationProgress(config.trainer.progress_bar) as data.progress:
            encoder = FrozenEncoder(module.model, trainer.strategy.root_device)
            data.use_frozen(encoder, cache_root(config.data, config.workspace, prepared.paths))
    with notice.waiting():
        error = fit(trainer, module, data, claim.checkpoint)
    if smaller.goes_on:
        close_wandb(loggers, report.verdict(), run_dir)
        return None
    code = report.exit_code if error is None else explain(error, report)
    if not trainer.is_global_zero:
        return code
    metrics = steps.metrics | {name: float(value) for name, value in trainer.callback_metrics.items()}
    write_bytes(run_dir / "metrics.json", json.dumps(metrics, indent=1).encode())
    tell_verdict(loggers, report.verdict(), metrics)
    if report.status in FINISHED:
        for file in step_files(run_dir / "checkpoints"):
            file.unlink()
    if config.test and report.status in FINISHED and error is None:
        notice.leave_if_received()
        test(config, module, run_dir)
    pictures = save_pictures(config, module, data, run_dir) if error is None else []
    print(report.card())
    print(f"  {prepared.note}\n  run: {run_dir}" if prepared.note else f"  run: {run_dir}", flush=True)
    close_wandb(loggers, report.verdict(), run_dir, config.tracking.artifacts, pictures)
    # Lightning leaves fit with SystemExit for SIGTERM and for Ctrl-C alike.
    if isinstance(error, KeyboardInterrupt | SystemExit) and in_a_sweep():
        sys.exit(code)  # who stops a job of a sweep means the sweep
    return code


if __name__ == "__main__":
    run("train", check_config, work)
