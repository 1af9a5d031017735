"""``RunEvidence``: what the criteria may ask the data of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from wotempo.batch import Batch
from wotempo.config.schema import RunConfig
from wotempo.data.collate import WindowCollator
from wotempo.data.module import NavsimDataModule
from wotempo.datasets import dataset_of, split_logs
from wotempo.evaluation.scoring import score_here
from wotempo.evidence.objects import beliefs_about, parts_of_the_view
from wotempo.evidence.targets import expert_apart, of_the_table, rescored, share_on_road
from wotempo.navsim import Scene, ScoreTable
from wotempo.navsim.twins import read_twins
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.preparation.prepare import Prepared

CONSTANT_VELOCITY, EGO_STATUS = "constant velocity", "ego-status network"
LOGS_DRAWN = 4
FITTED = 4096
"""Training scenes, at most, that the network is fitted on: it has eight inputs, and takes seconds."""


def draw(scenes: Sequence[Scene], count: int, seed: int) -> list[Scene]:
    """``count`` scenes, log by log, of ``LOGS_DRAWN`` logs or as many as have so many scenes: of a large dataset each
    log that is opened takes its time."""
    order = np.random.default_rng(seed).permutation(len(scenes)).tolist()
    sizes = Counter(id(scene.log) for scene in scenes)
    chosen: dict[int, int] = {}
    for i in order:
        if len(chosen) >= LOGS_DRAWN and sum(sizes[log] for log in chosen) >= count:
            break
        chosen.setdefault(id(scenes[i].log), len(chosen))
    taken = [scenes[i] for i in order if id(scenes[i].log) in chosen][:count]
    return sorted(taken, key=lambda scene: chosen[id(scene.log)])


class RunEvidence:
    """Of the scenes that ``prepared`` holds and ``data`` serves. See ``callbacks.base.protocol.Evidence``."""

    def __init__(self, config: RunConfig, prepared: Prepared, data: NavsimDataModule) -> None:
        self.config, self.prepared, self.data, self.seed = config, prepared, data, config.seed

    @cached_property
    def _scenes(self) -> dict[str, Scene]:
        return {scene.token: scene for members in self.prepared.scenes.values() for scene in members}

    def simple_drivers(self, tokens: Sequence[str], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Constant velocity always, the network that sees the ego's state alone where it is wanted: (S, 8, 3) each."""
        scenes = [self._scenes[token] for token in tokens]
        drivers = {CONSTANT_VELOCITY: np.stack([constant_velocity_poses(scene) for scene in scenes])}
        if EGO_STATUS in wanted:
            from wotempo.evaluation.baselines import ego_status_mlp  # scikit-learn takes a second to import

            train = self.prepared.scenes["train"]
            draw = np.random.default_rng(self.seed).permutation(len(train))[:FITTED]
            drivers[EGO_STATUS] = ego_status_mlp([train[i] for i in draw], scenes, self.seed)
        return drivers

    def score(self, plans: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
        """PDMS (v1.1) of each driver, over the scenes that can be scored; empty where none can."""
        tokens = list(next(iter(plans.values())))
        arrays = {name: {token: np.asarray(plan) for token, plan in of.items()} for name, of in plans.items()}
        scenes = [self._scenes[token] for token in tokens]
        rows = score_here(self.prepared.paths, scenes, arrays)
        void = {row["token"] for row in rows if not row["valid"]}
        by_driver: dict[str, list[float]] = {name: [] for name in plans}
        for row in rows:
            if row["token"] not in void:
                by_driver[row["driver"]].append(row["score"])
        return by_driver if any(by_driver.values()) else {}

    def splits(self) -> dict[str, dict[str, list[str]]]:
        """Tokens and logs of train and val, logs of test where they are on this machine."""
        found = {
            split: {"tokens": [s.token for s in members], "logs": sorted({s.log.name for s in members})}
            for split, members in self.data.scenes.items()
        }
        dataset = dataset_of(self.config.data, self.config.workspace)
        test = split_logs(dataset, self.prepared.paths, "test")
        return found if test is None else {**found, "test": {"logs": sorted(test)}}

    @cached_property
    def _table(self) -> ScoreTable | None:
        return None if self.prepared.labels is None else ScoreTable.open(self.prepared.labels)

    def fixed_batches(self, count: int) -> list[Batch]:
        """Of training scenes drawn by the run's seed."""
        dataset = self.data.datasets["train"]
        collate, size = WindowCollator(dataset), min(self.data.batch_size, len(dataset))
        order = np.random.default_rng(self.seed).permutation(len(dataset)).tolist()
        return [collate([dataset[i] for i in (order * 2)[size * k : size * (k + 1)]]) for k in range(count)]

    def beliefs(self, token: str) -> dict[str, dict[str, np.ndarray]]:
        """Where the objects of a scene should be seen (wotempo.evidence.objects)."""
        return beliefs_about(self._scenes[token], self.data.frames.spec)

    def twins(self) -> dict[str, str]:
        """The pairs of the dataset's ``twins.json``, either scene -> the other; empty where it has none."""
        return self._twins

    @cached_property
    def _twins(self) -> dict[str, str]:
        twins = read_twins(self.prepared.paths.root)
        pairs = () if twins is None else twins.pairs
        return {token: other for pair in pairs for token, other in (pair.tokens, pair.tokens[::-1])}

    def camera_parts(self) -> dict[str, Any]:
        """Columns of each camera in the stitched view, in terms of its width."""
        return parts_of_the_view()

    def future(self, token: str) -> np.ndarray:
        """(8, 3), the expert's poses by the log."""
        return human_poses(self._scenes[token])

    def label_row(self, token: str) -> np.ndarray | None:
        """(5, N), what the table says of a scene; None where the planner needs no labels."""
        return None if self._table is None else self._table.scores(token)

    def twins(self, module: Any) -> dict[str, Any] | None:
        """What the module makes of the twin scenes of validation; None where there are none."""
        from wotempo.evidence.twins import in_twins  # scores plans and draws intervals: at the end of few runs

        return in_twins(self.config, self.prepared, self.data, module)

    def targets(self, count: int) -> dict[str, Any]:
        """Of ``count`` scenes drawn by the run's seed, and of the whole label table (wotempo.evidence.targets)."""
        scenes = [s for split in self.prepared.supervised for s in self.prepared.scenes[split]]
        drawn, paths = draw(scenes, count, self.seed), self.prepared.paths
        found: dict[str, Any] = {
            "scenes": len(drawn),
            "expert_apart": expert_apart(self.data.datasets, drawn),
            "on_road": share_on_road(paths, drawn),
        }
        if self._table is not None and self.prepared.anchors is not None:
            found |= of_the_table(self._table, [scene.token for scene in scenes])
            found |= rescored(self._table, paths, self.prepared.anchors, drawn)
        return found
