"""The facts of a run in its verdict, beside the criteria: data, model, code, command."""

from __future__ import annotations

from typing import Any

from wotempo.config.schema import RunConfig
from wotempo.fusion import level_of
from wotempo.navsim import fingerprint
from wotempo.planners.stage_cost import cost
from wotempo.preparation.prepare import Prepared
from wotempo.runs.provenance import command_line, git_state
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


def facts_of(
    config: RunConfig, identity: str, prepared: Prepared, module: LitPlanner, started: dict[str, Any]
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
        "planner": config.planner,
        "seed": config.seed,
        "mode": config.model.mode,
        "fusion": config.fusion,
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "fusion_parameters": stage.parameters,
        "fusion_macs": stage.macs,
        "anchors": None if prepared.anchors is None else fingerprint(prepared.anchors),
        "scenes": {split: len(scenes) for split, scenes in prepared.scenes.items()},
        **started,
    }
