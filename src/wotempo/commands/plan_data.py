"""List what a run needs on disk: which files, what is here, what is missing, how many bytes.

Takes every key of the run. Nothing is fetched or written. Where the logs are not here yet, published counts and sizes
stand in, and a line says so. Exit code 0 where all is here, 1 where something is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig
from rich.table import Table

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.data.disk_room import existing, size_text
from wotempo.datasets import Dataset, Progress, dataset_class, dataset_of
from wotempo.errors import UserError
from wotempo.navsim import DataPaths
from wotempo.preparation.limits import checkpoint_room
from wotempo.preparation.plan import Plan, plan
from wotempo.preparation.progress import PreparationProgress
from wotempo.report.terminal import console


def check(raw: DictConfig) -> tuple[RunConfig, list[str]]:
    """The run, and what lacks of the environment. A dataset that is not here yet has no scene filters to check."""
    raw, lacking = dataset_class(str(raw.data.kind)).without_environment(raw)
    return check_config(raw), lacking


def located(dataset: Dataset, lacking: list[str]) -> DataPaths | None:
    """The dataset's folders; None where they are not here yet, with the reason added to ``lacking``."""
    try:
        return dataset.here()
    except UserError as error:
        if not lacking:
            lacking.append(str(error))
        return None


def planned(config: RunConfig, dataset: Dataset, lacking: list[str], progress: Progress) -> Plan:
    """The plan; where the environment lacks something, or folders are missing, ``lacking`` says so."""
    filtered = not lacking
    return plan(config, dataset, located(dataset, lacking), filtered, progress)


def table(found: Plan) -> Table:
    view = Table(title="what the run needs on disk")
    for column in ("", "files", "here", "bytes here", "missing", "to fetch", "how"):
        view.add_column(column, justify="left" if column in ("", "how") else "right", overflow="fold")
    for p in found.fetch:
        lacks = p.needed - p.here
        cells = [f"{p.needed:,}", f"{p.here:,}", size_text(p.bytes_here), f"{lacks:,}" if lacks else "–"]
        view.add_row(p.name, *cells, size_text(p.bytes_missing) if lacks else "–", p.how if lacks else "")
    return view


def lines(config: RunConfig, dataset: Dataset, found: Plan) -> Iterator[str]:
    to_fetch = dataset.supply.to_fetch(found.fetch)
    yield f"to fetch: {size_text(to_fetch)}" if not found.complete else "the dataset is whole"
    free = shutil.disk_usage(existing(Path(config.workspace))).free
    yield f"made here, below {config.workspace} ({size_text(free)} free), still to write:"
    for name, count in [*found.made, ("checkpoints of a run, at most about", checkpoint_room(config).most)]:
        yield f"  {name}: {size_text(count)}"
    yield from found.notes


def work(raw: DictConfig) -> int:
    config, lacking = check(raw)
    dataset = dataset_of(config.data, config.workspace)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        found = planned(config, dataset, lacking, progress)
    console(width=150).print(table(found))
    for line in (*lacking, *lines(config, dataset, found)):
        print(line)
    return 0 if found.complete else 1


if __name__ == "__main__":
    run("plan_data", RunConfig, check, work)
