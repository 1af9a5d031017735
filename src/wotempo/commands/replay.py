"""Do the step again that ended a run, from its ``failure/`` folder alone.

    wotempo replay run=<run>

Exit code 0 if the fault comes back, 1 if it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning as L
import torch
from omegaconf import DictConfig

from callbacks import Record, reenact
from callbacks.forensics.recorder import FACTS, STEP, WEIGHTS
from wotempo.checkpoints.plain_file import read_plain
from wotempo.checkpoints.rebuild import rebuild
from wotempo.command_line.entry import run
from wotempo.config.checks import check_accelerator
from wotempo.config.schema import typed
from wotempo.errors import UserError
from wotempo.records.forms import FAILURE
from wotempo.records.reading import Damaged, read_json, readable


@dataclass
class ReplayConfig:
    run: str | None  # the run's folder, or its failure/ folder
    rank: int  # of a run with several ranks
    accelerator: str
    threads: int | None  # CPU threads of torch; None leaves its default


def check(raw: DictConfig) -> ReplayConfig:
    config = typed(raw, ReplayConfig)
    if config.run is None:
        raise UserError("no run is named: give run=<folder of the run> (make: RUN=<folder>)")
    check_accelerator("accelerator", config.accelerator)
    failure_folder(config)
    return config


def failure_folder(config: ReplayConfig) -> Path:
    """Where the evidence is. UserError where there is none."""
    given = Path(str(config.run))
    if not given.is_dir():
        raise UserError(f"there is no folder {given}: give run=<folder of the run>")
    failure = given / "failure" if (given / "failure").is_dir() else given
    places = (failure, failure / f"rank{config.rank}")
    found = next((place for place in places if (place / "step.pt").is_file()), None)
    if found is None:
        raise UserError(f"{given} holds no failure/step.pt: no criterion ended that run in a step, so read its verdict")
    return found


def read_record(folder: Path) -> Record:
    """What the run left of its last step. UserError where a file of it is missing or cannot be read."""
    step, weights = (read_plain(folder / name) for name in (STEP, WEIGHTS))
    facts = readable(folder / FACTS, partial(read_json, form=FAILURE), None)
    if facts is None:
        raise UserError(f"{folder} holds no {FACTS}: the step cannot be done again")
    batches = step.get("micro_batches")
    if not isinstance(batches, list) or (batches and not 0 <= facts["micro_batch"] < len(batches)):
        raise Damaged(f"{folder / FACTS} does not fit {STEP}: copy both anew")
    for batch in batches:
        if "trajectory" in batch and "imitation" not in batch:  # of a run from before there was such a field
            batch["imitation"] = torch.ones(len(batch["trajectory"]), dtype=torch.bool)
    return Record(facts, step, weights)


def work(raw: DictConfig) -> int:
    config = check(raw)
    if config.threads:
        torch.set_num_threads(config.threads)
    folder = failure_folder(config)
    record = read_record(folder)
    module = rebuild(folder / WEIGHTS, record.weights, finite=False)
    trainer = L.Trainer(
        accelerator=config.accelerator,
        devices=1,
        precision=record.step["precision"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    precision = trainer.precision_plugin
    precision.convert_module(module).to(trainer.strategy.root_device)  # both in place
    print(f"{record.facts['criterion'] or record.facts['exception']} at step {record.facts['step']}: {folder}")
    outcome = reenact(record, module, precision)
    for line in outcome.lines:
        print(f"  {line}")
    print("reproduced" if outcome.reproduced else "NOT reproduced", flush=True)
    return 0 if outcome.reproduced else 1


if __name__ == "__main__":
    run("replay", ReplayConfig, check, work)
