"""Baselines that a learned planner has to beat: drivers without a network, and one that sees the ego state only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wotempo.features import status_feature
from wotempo.navsim import Scene
from wotempo.pdm.agents import constant_velocity_poses, human_poses

DRIVERS = ("human", "constant_velocity", "ego_status_mlp")
HIDDEN = (128, 128)


def ego_status_mlp(train: Sequence[Scene], scenes: Sequence[Scene], seed: int) -> np.ndarray:
    """Blind: (M, 8, 3) plans from the current frame's command, velocity and acceleration (NAVSIM's EgoStatusMLP).

    Fitted on ``train`` with a tenth of it held out for early stopping.
    """
    targets = np.stack([human_poses(scene) for scene in train]).reshape(len(train), -1)
    mlp = MLPRegressor(
        hidden_layer_sizes=HIDDEN, max_iter=2000, early_stopping=True, n_iter_no_change=50, random_state=seed
    )
    planner = make_pipeline(StandardScaler(), mlp)
    planner.fit(np.stack([status_feature(scene.current) for scene in train]), targets)
    plans = planner.predict(np.stack([status_feature(scene.current) for scene in scenes]))
    return plans.reshape(len(scenes), *human_poses(scenes[0]).shape)


def drive(name: str, train: Sequence[Scene], scenes: Sequence[Scene], seed: int) -> dict[str, np.ndarray]:
    """token -> (8, 3) plan of the named driver."""
    if name == "ego_status_mlp":
        plans = ego_status_mlp(train, scenes, seed)
    else:
        plan = {"human": human_poses, "constant_velocity": constant_velocity_poses}[name]
        plans = np.stack([plan(scene) for scene in scenes])
    return {scene.token: poses for scene, poses in zip(scenes, plans, strict=True)}
