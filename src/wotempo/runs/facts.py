"""The facts of a run in its verdict, beside the criteria: data, model, code, command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wotempo.config.schema import RunConfig
from wotempo.fusion import level_of
from wotempo.navsim import fingerprint
from wotempo.navsim.scores import TITLES
from wotempo.planners.stage_cost import cost
from wotempo.preparation.prepare import Prepared
from wotempo.records.evidence import CHECKPOINTS, CODE, CONFIG, LABELS, code_hash, described, token_hash
from wotempo.report.token_set import about_set, write_token_sets
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
        "tokens": {split: token_hash(scene.token for scene in scenes) for split, scenes in prepared.scenes.items()},
        "anchors": None if prepared.anchors is None else fingerprint(prepared.anchors),
        CODE: code_hash(),
    }
    if prepared.labels is not None:
        members = sorted(file for file in prepared.labels.iterdir() if file.is_file())
        folder = str(prepared.labels.resolve())
        found[LABELS] = {"folder": folder, "files": {file.name: described(file) for file in members}}
    return found


def token_sets(prepared: Prepared) -> dict[str, dict[str, Any]]:
    """What the run is trained and validated on, by split, with the number of scenes that are left out."""
    found = {}
    for split, scenes in prepared.scenes.items():
        lost = prepared.coverage[split].reasons if split in prepared.coverage else {}
        counts = {"masked": prepared.masked.get(split, 0), "failed": prepared.failed.get(split, 0)}
        found[split] = about_set([scene.token for scene in scenes], lost, **counts)
    return found


def write_tokens(run_dir: Path, prepared: Prepared) -> None:
    """``tokens.json``."""
    tokens = {split: [scene.token for scene in scenes] for split, scenes in prepared.scenes.items()}
    write_token_sets(run_dir, token_sets(prepared), tokens)


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
        "metric": TITLES["pdms"],  # of labels, of plans in validation, and of the test split
        "token_sets": token_sets(prepared),
        # What the splits were asked to hold and do not; nothing is said of one that is whole.
        "not_here": [of.sentence for of in prepared.coverage.values() if of.sentence],
        "coverage": {split: of.figures for split, of in prepared.coverage.items() if of.sentence},
        **started,
    }
