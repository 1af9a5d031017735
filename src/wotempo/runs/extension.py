"""More epochs for a run that has done all of its own: it becomes an unfinished run of the new length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from wotempo.checkpoints.newest import newest_checkpoint
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.navsim import write_bytes
from wotempo.records.run_folders import CONFIG, VERDICT
from wotempo.records.seal import SEAL, seal_of
from wotempo.runs.provenance import signature
from wotempo.training.optimiser import schedule_factor

EXTENDED = "extended"  # the fact that holds one entry per earlier length
KEPT = ("status", "exit_code", "reason", "written", "seconds", "steps", "epochs")
OF_THE_END = ("test.parquet", "metrics.json")  # files whose figures are those of the earlier length


def extend(run: Path, verdict: dict[str, Any], raw: DictConfig, before: int, config: RunConfig) -> None:
    """Make the finished ``run``, of ``before`` epochs, an unfinished one of ``config``, whose form on disk is ``raw``.
    The verdict of the earlier length goes into ``facts.extended``. UserError where the run cannot go on."""
    epochs = config.trainer.max_epochs
    if config.trainer.max_steps != -1:
        raise UserError(f"{run} ends by trainer.max_steps, only one that ends by epochs is extended: start a new one")
    if epochs <= before:
        raise UserError(f"{run} has done {before} epochs: set trainer.max_epochs to more than that")
    if verdict["epochs"] < before:
        done = f"{verdict['epochs']} of {before} epochs ({verdict['reason']})"
        raise UserError(f"{run} has done {done}, only one that has done all is extended: start a new one")
    if newest_checkpoint(run / "checkpoints")[0] is None:
        raise UserError(f"{run} holds no checkpoint to go on from: start a new one")
    told = schedule(config, verdict["steps"], before, epochs)
    earlier = {name: verdict[name] for name in KEPT} | {"max_epochs": before, "schedule": told}
    earlier["criteria"] = {criterion["name"]: criterion["status"] for criterion in verdict["criteria"]}
    facts = verdict["facts"]
    facts = {**facts, EXTENDED: [*facts.get(EXTENDED, []), earlier], "signature": signature(config)}
    reason = f"{verdict['status']} after {before} epochs, extended to {epochs}"
    begun = {**verdict, "status": "incomplete", "exit_code": 15, "reason": reason, "facts": facts, "evidence": {}}
    # In this order: killed in between, the run goes on as what it was.
    write_bytes(run / VERDICT, json.dumps({**begun, SEAL: seal_of(begun)}, indent=1).encode())
    write_bytes(run / CONFIG, OmegaConf.to_yaml(raw, resolve=True).encode())
    for name in OF_THE_END:
        (run / name).unlink(missing_ok=True)
    print(f"{run}: {reason}; {told}", flush=True)


def schedule(config: RunConfig, steps: int, before: int, epochs: int) -> str:
    """What becomes of the learning rate, in a sentence. ``steps``: done in ``before`` epochs."""
    if config.optimiser.schedule == "compat":
        return "the schedule 'compat' does not depend on the length: the rate goes on where it was"
    ended, goes_on = (
        schedule_factor(step, total, config.optimiser)
        for step, total in ((steps - 1, steps), (steps, round(steps * epochs / before)))
    )
    return (
        f"the schedule is laid out over {epochs} epochs: the rate had fallen to {ended:.3g} of its peak and goes on at "
        f"{goes_on:.3g}, so this is not the run that {epochs} epochs from the start would be"
    )
