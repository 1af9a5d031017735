"""Train, judge, report: one command, one verdict, one exit code.

python -m wotempo.commands.train experiment=convgru_1epoch [key=value ...]
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import hydra
import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, RichProgressBar
from omegaconf import DictConfig, OmegaConf

from callbacks import AcceptanceError, AcceptanceReport, Guard
from wotempo.commands.checks import check_config
from wotempo.commands.config import RunConfig, typed
from wotempo.commands.entry import run
from wotempo.commands.init_from import start_from
from wotempo.commands.prepare import Prepared, prepare
from wotempo.commands.progress import PreparationProgress
from wotempo.commands.provenance import command_line, git_state, signature
from wotempo.commands.tracking import build_loggers, close_wandb
from wotempo.data import NavsimDataModule
from wotempo.errors import UserError
from wotempo.features import FeatureSpec
from wotempo.model.pretrained import load_image_backbone
from wotempo.navsim import fingerprint
from wotempo.report.scene_picture import draw_samples
from wotempo.targets import TargetSpec
from wotempo.training.module import LitWoTE, plain
from wotempo.training.samples import collect_samples


def claim_run_dir(path: Path) -> None:
    """An output folder belongs to one run: refuse a folder that holds another one's verdict."""
    if (path / "verdict.json").exists():
        raise UserError(f"{path} holds another run: choose another run_dir or remove that run")
    path.mkdir(parents=True, exist_ok=True)


def build_data(config: RunConfig, prepared: Prepared, progress) -> NavsimDataModule:
    model, trainer = config.model, config.trainer
    return NavsimDataModule(
        prepared.paths,
        prepared.cache / prepared.paths.root.name,
        prepared.scenes,
        prepared.anchors,
        labels=prepared.labels,
        feature_spec=FeatureSpec(
            image_height=model.image_height, image_width=model.image_width, lidar_grid=model.lidar_grid
        ),
        target_spec=TargetSpec(grid=model.map_grid, mode=model.mode),
        num_frames=config.fusion["num_frames"],
        batch_size=trainer.batch_size,
        run_length=trainer.run_length,
        num_workers=trainer.num_workers,
        pin_memory=trainer.accelerator == "gpu",
        prepare_workers=config.data.prepare_workers,
        seed=config.seed,
        progress=progress,
    )


def build_module(config: RunConfig, prepared: Prepared) -> tuple[LitWoTE, dict[str, Any]]:
    """The model and a record of the weights that it starts from."""
    module = LitWoTE(
        model=config.model.to_dict(),
        fusion=config.fusion,
        optimiser=plain(config.optimiser),
        anchors=prepared.anchors,
        anchors_fingerprint=fingerprint(prepared.anchors),
    )
    started: dict[str, Any] = {}
    if config.image_checkpoint is not None:
        record = load_image_backbone(module.model, Path(config.image_checkpoint))
        started["image_checkpoint"] = plain(record)
    if config.init_from is not None:
        started["init_from"] = start_from(module, Path(config.init_from))
    return module, started


def build_callbacks(config: RunConfig, run_dir: Path, facts: dict[str, Any]) -> tuple[list[L.Callback], AcceptanceReport]:
    guards: list[Guard] = [hydra.utils.instantiate(options) for options in config.acceptance.values()]
    report = AcceptanceReport(run_dir, facts=facts)
    checkpoint = ModelCheckpoint(run_dir / "checkpoints", filename="best", monitor="val/loss", save_last=True)
    callbacks: list[L.Callback] = [*guards, report, checkpoint, LearningRateMonitor()]
    if config.trainer.progress_bar:
        callbacks.append(RichProgressBar())
    return callbacks, report


def save_pictures(config: RunConfig, module: LitWoTE, data: NavsimDataModule, run_dir: Path) -> list[Path]:
    """``samples.npz`` of the first validation batch and its pictures; none without validation."""
    if config.tracking.pictures == 0 or "val" not in data.datasets:
        return []
    batch = next(iter(data.val_dataloader()))
    samples = collect_samples(module.eval().cpu(), batch, config.tracking.pictures)
    np.savez_compressed(run_dir / "samples.npz", **samples)
    return draw_samples(run_dir / "samples.npz", run_dir / "pictures")


def work(raw: DictConfig) -> int:
    """One run -> its exit code."""
    config = check_config(raw)
    run_dir = Path(config.run_dir)
    claim_run_dir(run_dir)
    (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(raw, resolve=True))
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)

    with PreparationProgress(config.trainer.progress_bar) as progress:
        prepared = prepare(config, progress)
        data = build_data(config, prepared, progress)
        data.build_caches()

    L.seed_everything(config.seed, workers=True, verbose=False)
    module, started = build_module(config, prepared)
    identity = signature(config)
    facts = {
        "name": config.name,
        "signature": identity,
        "data": prepared.name,
        "note": prepared.note,
        "command": command_line(),
        "git": git_state(),
        "mode": config.model.mode,
        "fusion": config.fusion,
        "anchors": fingerprint(prepared.anchors),
        "scenes": {stage: len(scenes) for stage, scenes in prepared.scenes.items()},
        **started,
    }
    loggers = build_loggers(config, run_dir, identity, facts)
    callbacks, report = build_callbacks(config, run_dir, facts)
    options = config.trainer
    trainer = L.Trainer(
        default_root_dir=run_dir,
        logger=loggers,
        callbacks=callbacks,
        enable_model_summary=False,
        enable_progress_bar=options.progress_bar,
        **{
            name: getattr(options, name)
            for name in (
                "accelerator", "devices", "strategy", "precision", "max_epochs", "max_steps", "limit_train_batches",
                "limit_val_batches", "accumulate_grad_batches", "gradient_clip_val",
                "check_val_every_n_epoch", "log_every_n_steps", "num_sanity_val_steps", "deterministic", "max_time",
            )
        },
    )  # fmt: skip
    raise NotImplementedError


if __name__ == "__main__":
    run("train", check_config, work)
