"""``TwinWatch``: from the pairs of a split to the table of every driver that planned for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from wotempo.datasets import Dataset, Progress, split_scenes
from wotempo.datasets.base import cache_root
from wotempo.evaluation.twins.anchor_scores import AnchorScores, anchor_scores
from wotempo.evaluation.twins.readings import AnchorReadings
from wotempo.evaluation.twins.rows import driven_rows
from wotempo.navsim import DataPaths, Scene
from wotempo.pdm.evaluation import Plan
from wotempo.preparation.anchors import anchors_of
from wotempo.preparation.twin_pairs import TwinSplit, require_reach, twins_of
from wotempo.report.twins import ALL, SHOWN, by_kind, with_interval
from wotempo.training.module import LitPlanner


@dataclass
class TwinWatch:
    """``readings``: by driver, of the planners that were watched; the bound is that of the first one's anchors."""

    twins: TwinSplit
    readings: dict[str, AnchorReadings] = field(default_factory=dict)
    anchors: np.ndarray | None = None
    count: int | None = None  # of anchors; None before a planner was watched

    @classmethod
    def begin(cls, paths: DataPaths, split: str, scenes: Sequence[Scene]) -> TwinWatch | None:
        """None where the split has no pairs. UserError as ``twins_of``."""
        twins = twins_of(paths, split, scenes)
        return None if twins is None else cls(twins)

    def over(self, driver: str, module: LitPlanner) -> AnchorReadings:
        """What is to look at the batches of ``module``. UserError where it sees another history than the pairs have."""
        require_reach(self.twins, module.num_frames, module.frame_stride)
        if self.count is None:
            self.anchors, self.count = module.model.anchors, module.model.config.num_anchors
        return self.readings.setdefault(driver, AnchorReadings(self.twins.scenes))

    def scored(self, dataset: Dataset, paths: DataPaths, progress: Progress) -> AnchorScores:
        """Of the watched planner's anchors; of a planner without any, of those that the dataset has for as many as its
        configuration names."""
        anchors = self.anchors
        if anchors is None:
            if self.count is None:
                raise ValueError("no planner was watched, so that there are no anchors")
            train = split_scenes(dataset, paths, "train", progress)
            anchors = anchors_of(dataset, paths, train, self.count, progress)
        cache, workers = cache_root(dataset.data, dataset.workspace, paths), dataset.data.prepare_workers
        return anchor_scores(cache, paths, list(self.twins.scenes.values()), anchors, workers, progress)

    @staticmethod
    def figures(rows: pd.DataFrame) -> dict[str, Any]:
        """Of a driver's table: ``pairs``, ``districts``, each of ``SHOWN`` with its interval, and so by ``kinds``."""
        kinds = {kind: {name: with_interval(of, name) for name in SHOWN} for kind, of in by_kind(rows).items()}
        return {"pairs": len(rows), "districts": int(rows["district"].nunique()), **kinds.pop(ALL), "kinds": kinds}

    def rows(
        self, dataset: Dataset, paths: DataPaths, plans: Mapping[str, Mapping[str, Plan]], progress: Progress
    ) -> pd.DataFrame:
        """The table (wotempo.evaluation.twins.rows) of each driver of ``plans``: driver -> token -> plan."""
        scores, workers = self.scored(dataset, paths, progress), dataset.data.prepare_workers
        tables = [
            driven_rows(driver, self.twins, scores, of, self.readings.get(driver), paths, workers, progress)
            for driver, of in plans.items()
        ]
        return pd.concat(tables, ignore_index=True)
