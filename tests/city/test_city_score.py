"""The town poses the task that NAVSIM poses: the recorded drive scores well, driving straight on does not."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.city import CityConfig, SplitSize, build_city, simulate_futures
from wotempo.maps import read_map
from wotempo.navsim.dataset import log_paths, read_splits
from wotempo.navsim.logs import read_log
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import DataPaths
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.anchors import cluster_anchors
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import score_trajectories

CONFIG = CityConfig(SplitSize(4, 2), SplitSize(1, 1), SplitSize(4, 2), frames=32, sensors=False)
SCORES = ("nc", "dac", "ep", "ttc", "comfort")


@pytest.mark.slow
def test_human_scores_well_constant_velocity_does_not_and_anchors_vary(tmp_path):
    build_city(tmp_path, CONFIG)
    splits, logs = read_splits(tmp_path), []
    for split in ("train", "test"):
        paths = log_paths(DataPaths(tmp_path, tmp_path / "maps"), splits[split].split, splits[split].logs)
        logs += [read_log(path, splits[split].split) for path in paths]
    index = read_map(tmp_path / "maps", logs[0].frames[0].map_location)
    anchors = cluster_anchors(simulate_futures(CONFIG, 1500, seed=1), 48)
    human, straight, varies, errors = [], [], [], []
    for scene in find_scenes(logs, SceneFilter())[::4]:
        context = SceneContext.build(scene, index)
        driven, kept_on = human_poses(scene), constant_velocity_poses(scene)
        result = score_trajectories(context, np.concatenate([driven[None], kept_on[None], anchors]))
        human.append(result.score[0])
        straight.append(result.score[1])
        varies.append([np.ptp(getattr(result, name)[2:]) > 0 for name in SCORES])
        errors.append(np.hypot(*(driven - kept_on)[-1, :2]))
    assert len(human) >= 30
    assert np.mean(human) > 0.85  # relative to the best of the batch; alone it is higher still
    assert np.mean(straight) < 0.7
    assert np.mean(human) - np.mean(straight) > 0.25
    assert np.median(errors) > 3.0  # metres that constant velocity is off after 4 s
    assert (np.mean(varies, 0) > 0.6).all()
