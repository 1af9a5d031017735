"""The bound of all pairs of twins of a dataset, by split and kind: known before anything is trained.

``twins_bound.parquet`` in the run's folder: one row a pair (wotempo.evaluation.twins.bound); ``twins_bound.json``: the
means with their intervals, and what they were measured by.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.datasets import SPLITS, Progress, dataset_of, split_scenes
from wotempo.datasets.base import cache_root
from wotempo.errors import UserError
from wotempo.evaluation.twins.anchor_scores import anchor_scores
from wotempo.evaluation.twins.rows import bound_rows
from wotempo.navsim import fingerprint, write_bytes
from wotempo.navsim.scores import TITLES
from wotempo.navsim.twins import FILE, own_twins
from wotempo.preparation.anchors import anchors_of
from wotempo.preparation.progress import PreparationProgress
from wotempo.preparation.twin_pairs import twins_of
from wotempo.report.terminal import console
from wotempo.report.twins import BOUND, bound_table, summary

NAMES = {**BOUND, **{f"{choice}_{name}": "" for name in ("nc", "ttc")
                     for choice in ("blind", "knowing", "most_blind", "most_knowing")}}  # fmt: skip


def measured(config: RunConfig, progress: Progress) -> tuple[pd.DataFrame, str]:
    """One row a pair, of all splits that have some, and the fingerprint of the anchors. UserError where there are no
    pairs."""
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.ready(progress)
    if own_twins(paths.root) is None:
        raise UserError(f"{paths.root} has no {FILE}: it holds no twin scenes; take data.preset=twins")
    train = split_scenes(dataset, paths, "train", progress)
    anchors = anchors_of(dataset, paths, train, config.model.num_anchors, progress)
    cache, tables = cache_root(config.data, config.workspace, paths), []
    for split in SPLITS:
        twins = twins_of(paths, split, train if split == "train" else split_scenes(dataset, paths, split, progress))
        if twins is not None:
            members = list(twins.scenes.values())
            scores = anchor_scores(cache, paths, members, anchors, config.data.prepare_workers, progress)
            tables.append(bound_rows(twins, scores))
    return pd.concat(tables, ignore_index=True), fingerprint(anchors)


def work(raw: DictConfig) -> int:
    """-> the exit code."""
    config = check_config(raw)
    with PreparationProgress(config.trainer.progress_bar) as progress:
        rows, anchors = measured(config, progress)
    out = Path(config.run_dir)
    about = {"metric": TITLES["pdms"], "anchors": anchors, "num_anchors": config.model.num_anchors}
    of_splits = {str(split): summary(of, NAMES) for split, of in rows.groupby("split", sort=False)}
    write_bytes(out / "twins_bound.parquet", rows.to_parquet(index=False))
    write_bytes(out / "twins_bound.json", json.dumps({**about, "splits": of_splits}, indent=1).encode())
    for split, of in rows.groupby("split", sort=False):
        console(width=150).print(bound_table(of, str(split)))
    print(f"{about['metric']}, {config.model.num_anchors} anchors ({anchors}); per pair: {out}/twins_bound.parquet")
    return 0
