"""The targets that some scenes should have: labels scored anew, futures of the log, poses on the map's roads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from callbacks.criteria.labels import CLOSE
from wotempo.configs import values
from wotempo.maps import on_road, read_map
from wotempo.navsim import DataPaths, Scene, ScoreTable
from wotempo.navsim.per_scene import attempted
from wotempo.navsim.scores import pack_scores
from wotempo.pdm.agents import human_poses
from wotempo.pdm.labels.label_parts import score_scene
from wotempo.pdm.score import SCORER_VERSION

LIMITS = values("acceptance/one_epoch")["labels"]  # what the criterion asks for, doctor and `make labels` do, too


def expert_apart(datasets: Mapping[str, Any], scenes: Sequence[Scene]) -> list[str]:
    """Tokens of the scenes whose future, as a batch would bring it, is not that of their log. ``datasets``: split ->
    its ``WindowDataset``."""
    places = {str(token): (data, i) for data in datasets.values() for i, token in enumerate(data.tokens)}
    apart = []
    for scene in scenes:
        data, index = places[scene.token]
        given = np.asarray(data[index]["target"]["trajectory"])
        if np.abs(given - human_poses(scene)).max() > CLOSE:
            apart.append(scene.token)
    return apart


def share_on_road(paths: DataPaths, scenes: Sequence[Scene]) -> float:
    """Of the poses now and in the future, those on a drivable polygon of their map."""
    inside = [
        on_road(read_map(paths.maps, scene.current.map_location), np.stack([f.pose for f in scene.future]))
        for scene in scenes
    ]
    return float(np.concatenate(inside).mean())


def of_the_table(table: ScoreTable, tokens: Sequence[str]) -> dict[str, float]:
    """``flat``: share of these scenes in which no two anchors differ in any sub-score. ``worthless``: in which no
    anchor scores above 0."""
    rows = [table.rows[token] for token in tokens if token in table.rows]
    if not rows:
        return {"flat": 0.0, "worthless": 0.0}
    flags, progress = np.asarray(table.flags)[rows], np.asarray(table.progress)[rows]
    flat = (flags == flags[:, :1]).all(1) & (progress == progress[:, :1]).all(1)
    safe = ((flags & 3) > 0) & ((flags >> 2 & 1) > 0)  # the product of NC and DAC is 0 elsewhere, and with it the score
    return {"flat": float(flat.mean()), "worthless": float((~safe.any(1)).mean())}


def without_signal(table: ScoreTable, tokens: Sequence[str]) -> str:
    """A sentence where these rows cannot teach anything, by the limits of the criterion; '' where they can."""
    found = of_the_table(table, tokens)
    if found["flat"] > LIMITS["max_flat"]:
        return f"in {found['flat']:.0%} of the scenes all anchors have the same label"
    if found["worthless"] > LIMITS["max_flat"]:
        return f"in {found['worthless']:.0%} of the scenes every anchor scores 0: do the maps belong to these logs?"
    return ""


def rescored(table: ScoreTable, paths: DataPaths, anchors: np.ndarray, scenes: Sequence[Scene]) -> dict[str, Any]:
    """The rows of these scenes, scored anew: ``rescored`` how many, ``rows_apart`` tokens of those that differ, or
    that the scorer refuses now."""
    apart = []
    for scene in scenes:
        town = read_map(paths.maps, scene.current.map_location)
        town.load()
        scores, _ = attempted(partial(score_scene, scene, town, anchors))
        row = table.rows[scene.token]
        if scores is None:
            apart.append(scene.token)
            continue
        flags, progress = pack_scores(scores)
        if not (np.array_equal(flags, table.flags[row]) and np.array_equal(progress, table.progress[row])):
            apart.append(scene.token)
    return {"rescored": len(scenes), "rows_apart": apart, "scorer": [table.scorer_version, SCORER_VERSION]}
