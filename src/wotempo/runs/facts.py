"""The facts of a run in its verdict, beside the criteria: data, model, code, command."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from wotempo.config.schema import RunConfig
from wotempo.fusion import level_of
from wotempo.navsim import fingerprint
from wotempo.planners.stage_cost import cost
from wotempo.preparation.prepare import Prepared
from wotempo.records.evidence import CHECKPOINTS, CODE, CONFIG, LABELS, code_hash, described
from wotempo.runs.provenance import attempt, command_line, git_state
from wotempo.training.checkpoints import BEST
from wotempo.training.module import LitPlanner


def next_step(config: RunConfig) -> str:
    """The command that usually follows an accepted run."""
    if config.trainer.limit_train_batches is not None:
        return "the configuration runs: train a whole epoch (PROFILE=full)"
    if config.data.train.max_scenes is not None:
        return "learning works on a part of the data: make train-convgru-1epoch"
    if config.trainer.max_epochs == 1 and config.fusion["num_frames"] == 1:
        return "make train-convgru-1epoch, then compare: make ablation-fusion"
    if config.trainer.max_epochs == 1:
        return "make train-baseline, then make compare; then make train-convgru-5epoch; then make ablation-fusion"
    return "evaluate it on the test split: make evaluate CKPT=<run>/checkpoints/last.ckpt"


def evidence_of(run_dir: Path, prepared: Prepared) -> dict[str, Any]:
    """What the verdict of a run that ended rests on (wotempo.records.evidence)."""
    files = [run_dir / CONFIG, *(run_dir / CHECKPOINTS / f"{name}.ckpt" for name in ("last", BEST))]
    found: dict[str, Any] = {
        "files": {file.relative_to(run_dir).as_posix(): described(file) for file in files if file.is_file()},
        "tokens": {
            split: hashlib.sha256("".join(scene.token for scene in scenes).encode()).hexdigest()[:16]
            for split, scenes in prepared.scenes.items()
        },
        "anchors": None if prepared.anchors is None else fingerprint(prepared.anchors),
        CODE: code_hash(),
    }
    if prepared.labels is not None:
        members = sorted(file for file in prepared.labels.iterdir() if file.is_file())
        folder = str(prepared.labels.resolve())
        found[LABELS] = {"folder": folder, "files": {file.name: described(file) for file in members}}
    return found


def facts_before(config: RunConfig, identity: str) -> dict[str, Any]:
    """What the verdict says about a run before anything is prepared."""
    return {
        "name": config.name,
        "signature": identity,
        "command": command_line(),
        "attempt": attempt(),
        "git": git_state(),
        "planner": config.planner,
        "seed": config.seed,
        "mode": config.model.mode,
        "fusion": config.fusion,
    }


def facts_of(
    config: RunConfig, identity: str, prepared: Prepared, module: LitPlanner, started: dict[str, Any]
) -> dict[str, Any]:
    """What the verdict says about the run besides its criteria."""
    offered = config.model.level(level_of(config.fusion))
    stage = cost(config.fusion["name"], *offered, config.fusion)
    return {
        **facts_before(config, identity),
        "data": prepared.name,
        "note": prepared.note,
        "next": next_step(config),
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "fusion_parameters": stage.parameters,
        "fusion_macs": stage.macs,
        "anchors": None if prepared.anchors is None else fingerprint(prepared.anchors),
        "scenes": {split: len(scenes) for split, scenes in prepared.scenes.items()},
        # What the splits were asked to hold and do not; nothing is said of one that is whole.
        "not_here": [of.sentence for of in prepared.coverage.values() if of.sentence],
        "coverage": {split: of.figures for split, of in prepared.coverage.items() if of.sentence},
        **started,
    }
