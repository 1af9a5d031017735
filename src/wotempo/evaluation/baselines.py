"""Baselines that a learned planner has to beat: drivers without a network, and one that sees the ego state only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wotempo.errors import UserError
from wotempo.features import status_feature
from wotempo.navsim import Scene
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.per_scene import each
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.evaluation import Plan

DRIVERS = ("human", "constant_velocity", "ego_status_mlp")
HIDDEN = (128, 128)
LEAST_SCENES = 20  # a tenth of them, held out for early stopping, must be two or more


def ego_status_mlp(train: Sequence[Scene], scenes: Sequence[Scene], seed: int) -> np.ndarray:
    """Blind: (M, 8, 3) plans from the current frame's command, velocity and acceleration (NAVSIM's EgoStatusMLP).

    Fitted on ``train`` with a tenth of it held out for early stopping.
    """
    if len(train) < LEAST_SCENES:
        raise UserError(
            f"the baseline ego_status_mlp is fitted on the train split, which has {len(train)} scenes, and needs "
            f"{LEAST_SCENES}: take more, or leave it out of baselines"
        )
    targets = np.stack([human_poses(scene) for scene in train]).reshape(len(train), -1)
    mlp = MLPRegressor(
        hidden_layer_sizes=HIDDEN, max_iter=2000, early_stopping=True, n_iter_no_change=50, random_state=seed
    )
    planner = make_pipeline(StandardScaler(), mlp)
    planner.fit(np.stack([status_feature(scene.current) for scene in train]), targets)
    plans = planner.predict(np.stack([status_feature(scene.current) for scene in scenes]))
    return plans.reshape(len(scenes), NUM_POSES, 3)


def drive(name: str, train: Sequence[Scene], scenes: Sequence[Scene], seed: int) -> dict[str, Plan]:
    """token -> (8, 3) plan of the named driver, or the reason why it has none for this scene."""
    if name != "ego_status_mlp":
        plan = {"human": human_poses, "constant_velocity": constant_velocity_poses}[name]
        plans, failed = each({scene.token: scene for scene in scenes}, plan)
        return plans | failed
    followed, _ = each({scene.token: scene for scene in train}, human_poses)
    fitted = ego_status_mlp([scene for scene in train if scene.token in followed], scenes, seed)
    return {scene.token: poses for scene, poses in zip(scenes, fitted, strict=True)}
