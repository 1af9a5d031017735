"""One run: from its configuration to its verdict and exit code, in a folder that it holds."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import sys
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import cast

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from callbacks import AcceptanceError, AcceptanceReport, exit_code_of
from callbacks.verdict.report import CRASHED, INCOMPLETE, SIGTERM
from wotempo.checkpoints.rebuild import load_module
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.data.module import NavsimDataModule
from wotempo.endings import ended_by
from wotempo.errors import UserError
from wotempo.evidence.run_evidence import RunEvidence
from wotempo.navsim import write_bytes
from wotempo.navsim.lock import locked
from wotempo.planners.backbone.frozen import FrozenEncoder
from wotempo.preparation.datamodule import cache_root
from wotempo.preparation.limits import check_checkpoint_room
from wotempo.preparation.prepare import prepare_data
from wotempo.preparation.progress import PreparationProgress
from wotempo.report.scores import TEST_FILE
from wotempo.report.token_set import in_words
from wotempo.runs.beginning import beginning
from wotempo.runs.build import build_callbacks, build_module, build_trainer, require_trainer
from wotempo.runs.extension import EXTENDED
from wotempo.runs.facts import evidence_of, facts_of, token_sets, write_tokens
from wotempo.runs.identity import FILE as IDENTITY
from wotempo.runs.identity import changes_since, identity_of, write_identity
from wotempo.runs.out_of_memory import FACT, OutOfMemoryPolicy
from wotempo.runs.preemption import StopSignal
from wotempo.runs.provenance import signature
from wotempo.runs.settings import other_criteria, other_settings
from wotempo.runs.unfinished import (
    FINISHED,
    LOCK,
    STRICT,
    check_continued,
    check_taken,
    claim_run_dir,
    unfinished_runs,
)
from wotempo.tracking.loggers import abandon_wandb, build_loggers, close_wandb, tell_verdict
from wotempo.training.checkpoints import step_files
from wotempo.training.module import LitPlanner

RUN_DIR = "WOTEMPO_RUN_DIR"  # tells the processes of further GPUs where the first one runs


def fit(
    trainer: L.Trainer, module: LitPlanner, data: NavsimDataModule, checkpoint: Path | None
) -> BaseException | None:
    """Run to the end, from ``checkpoint`` on -> what ended it early, if anything; the report has written it down."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except BaseException as error:  # SIGTERM and Ctrl-C are no Exceptions; each has its exit code in the report
        return error
    return None


def explain(error: BaseException, report: AcceptanceReport) -> int:
    """Say why the run ended early, where no criterion says it -> exit code."""
    if not isinstance(error, Exception) or isinstance(error, AcceptanceError) or report.status == "rejected":
        return report.exit_code
    code = ended_by(error, report.directory)
    return report.exit_code if report.status == "crashed" else code


def test(config: RunConfig, module: LitPlanner, run_dir: Path) -> None:
    """Score the run on the test split."""
    from wotempo.evaluation.scored import score_run  # at the end, of some runs: with what it imports it costs a start

    with PreparationProgress(config.trainer.progress_bar) as progress:
        score_run(config, module, run_dir, progress)


def in_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def named_by_time(folder: Path) -> bool:
    """Whether nothing names the folder of this run but the time at which Hydra started it."""
    if not HydraConfig.initialized() or in_a_sweep():
        return False
    hydra = HydraConfig.get()
    named = any(word.lstrip("+").startswith("hydra.run.dir=") for word in hydra.overrides.hydra)
    own = Path(hydra.runtime.output_dir) == folder
    return own and not named and re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", folder.name) is not None


def run_folder(config: RunConfig) -> Path:
    """The folder to run in: the one that was asked for; in place of one that is named by its time only, that of an
    unfinished run of this configuration beside it."""
    given = Path(config.run_dir)
    if config.fresh or not named_by_time(given) or not (earlier := unfinished_runs(given.parent, signature(config))):
        return given
    if earlier[-1] != given and {member.name for member in given.iterdir()} <= {".hydra"}:
        shutil.rmtree(given)
    print(f"{earlier[-1]} goes on in place of a new folder: run_dir=<folder> would name another", flush=True)
    return earlier[-1]


def require_one_folder(config: RunConfig) -> None:
    """UserError where processes that srun or torchrun started would each name the folder of the run by the time."""
    started = max(int(os.environ.get(name) or 1) for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    several = started > 1 and config.trainer.devices not in (1, "1")
    if several and RUN_DIR not in os.environ and named_by_time(Path(config.run_dir)):
        raise UserError(
            f"{started} processes of srun or torchrun would each name the folder of the run by the time: give "
            "run_dir=<folder>"
        )


def work(raw: DictConfig) -> int:
    """One run -> its exit code. Ended early by the scheduler, its job goes back into the queue."""
    config, stop_signal = check_config(raw), StopSignal()
    with stop_signal.listening():
        code = CRASHED
        try:
            code = hold_folder(config, raw, stop_signal)
        except SystemExit as end:
            code = exit_code_of(end)
            raise
        finally:
            abandon_wandb(code)
            if stop_signal.received and code in (INCOMPLETE, SIGTERM):
                stop_signal.requeue()
    return code


def hold_folder(config: RunConfig, raw: DictConfig, stop_signal: StopSignal) -> int:
    """``train`` in the run's folder, which no other process may use meanwhile."""
    require_one_folder(config)
    if getattr(rank_zero_only, "rank", 0) != 0:  # the folder is held by the process that started this one
        config.run_dir = raw.run_dir = os.environ.get(RUN_DIR, config.run_dir)
        return cast(int, train(config, raw, stop_signal))  # several processes do not go on with smaller batches
    config.run_dir = raw.run_dir = os.environ[RUN_DIR] = str(run_folder(config))
    with locked(Path(config.run_dir) / LOCK, config.run_dir):
        while (code := train(deepcopy(config), raw, stop_signal)) is None:
            gc.collect()  # what failed held the memory
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return code


def train(config: RunConfig, raw: DictConfig, stop_signal: StopSignal) -> int | None:
    """One attempt of the run in a folder that this process holds -> exit code; None: again, with smaller batches."""
    run_dir, first = Path(config.run_dir), getattr(rank_zero_only, "rank", 0) == 0
    by_epochs = config.trainer.max_steps == -1
    identity = signature(config)
    known = (run_dir / IDENTITY).is_file()
    differs = partial(other_settings, run_dir, config, by_place=not known)
    claim = claim_run_dir(run_dir, identity, config.reuse, config.fresh, by_epochs, differs, first)
    criteria, strict = other_criteria(run_dir, config), config.reuse == STRICT
    if (done := claim.finished) is not None:
        check_taken(run_dir, changes_since(run_dir, config), criteria, strict)
        print(f"{run_dir}: {done['status']} before; it is not run again", flush=True)
        if config.test and not (run_dir / TEST_FILE).exists():
            test(config, load_module(run_dir / "checkpoints" / "last.ckpt"), run_dir)
        return int(done["exit_code"])
    memory_policy = OutOfMemoryPolicy(config, claim.out_of_memory)
    with beginning(config, identity, claim):
        write_bytes(run_dir / "config.yaml", OmegaConf.to_yaml(raw, resolve=True).encode())
        if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("trainer.accelerator is 'gpu', but there is no GPU: set trainer=cpu (make: TRAINER=cpu)")
        require_trainer(config, run_dir)
        if first:
            check_checkpoint_room(config)
        prepared, data = prepare_data(config)
        made_from = identity_of(config, prepared, claim.identity)
        if claim.resumed:
            check_continued(run_dir, claim, made_from, criteria, strict)
        if first:
            write_identity(run_dir, made_from)
            write_tokens(run_dir, prepared)
        data.evidence = RunEvidence(config, prepared, data)
        if prepared.note:
            print(prepared.note, flush=True)

        L.seed_everything(config.seed, workers=True, verbose=False)
        module, started = build_module(config, prepared)
        facts = facts_of(config, identity, prepared, module, started)
        facts |= {FACT: memory_policy.past}
        if claim.resumed:
            facts["resumed"] = claim.resumed
            # `wotempo resume` names the folder only; the command that began the run is what trains it once more.
            facts["command"] = claim.command or facts["command"]
            facts |= {name: claim.facts[name] for name in (EXTENDED,) if name in claim.facts}
        loggers = build_loggers(config, run_dir, facts, claim.step)
        callbacks, report, steps = build_callbacks(
            config,
            run_dir,
            facts,
            partial(evidence_of, run_dir, prepared),
            stop_signal,
            memory_policy,
            judged="val" in prepared.supervised,
        )
        trainer = build_trainer(config, run_dir, loggers, callbacks)
        if config.model.frozen_backbone:
            with PreparationProgress(config.trainer.progress_bar) as data.progress:
                encoder = FrozenEncoder(module.model, trainer.strategy.root_device)
                data.use_frozen(encoder, cache_root(config.data, config.workspace, prepared.paths))
    with stop_signal.waiting():
        error = fit(trainer, module, data, claim.checkpoint)
    if memory_policy.goes_on:
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
        stop_signal.leave_if_received()
        test(config, module, run_dir)
    from wotempo.experiment.pictures import save_pictures  # as above

    pictures = save_pictures(config, module, data, run_dir) if error is None else []
    print(report.card())
    for split, about in token_sets(prepared).items():
        print(f"  {split}: {in_words(about)}")
    print(f"  {prepared.note}\n  run: {run_dir}" if prepared.note else f"  run: {run_dir}", flush=True)
    close_wandb(loggers, report.verdict(), run_dir, config.tracking.artifacts, pictures)
    # Lightning leaves fit with SystemExit for SIGTERM and for Ctrl-C alike.
    if isinstance(error, KeyboardInterrupt | SystemExit) and in_a_sweep():
        sys.exit(code)  # stopping a job of a sweep stops the sweep
    return code
