"""Equality with the targets of the public WoTE builder (made with its own code on the generated golden drive)."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.features import status_feature
from wotempo.maps import read_map
from wotempo.navsim.logs import read_log
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.targets import TargetSpec, agent_target, bev_map_target, future_base_map, paint_ego, trajectory_target

COMPAT = TargetSpec(mode="compat")


def test_bev_map_and_future_map(stored, stored_scene, stored_map):
    np.testing.assert_array_equal(bev_map_target(stored_scene, stored_map, COMPAT), stored["bev_map"])
    future = paint_ego(future_base_map(stored_scene, stored_map, COMPAT), stored["anchor_pose"], COMPAT)
    np.testing.assert_array_equal(future, stored["future_map"])
    assert len(np.unique(stored["bev_map"])) == 7  # every class of compat occurs


def test_status_trajectory_and_agents(stored, stored_scene):
    np.testing.assert_allclose(status_feature(stored_scene.current), stored["status"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(trajectory_target(stored_scene), stored["trajectory"], rtol=1e-6, atol=1e-6)
    states, labels = agent_target(stored_scene.current, COMPAT)
    np.testing.assert_allclose(states, stored["agent_states"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(labels, stored["agent_labels"])
    assert labels.any()


@pytest.mark.shared
def test_seven_whole_scenes(shared_dir):
    root = shared_dir / "golden" / "navsim"
    with np.load(root / "features_dev.npz") as file:
        expected = dict(file)
    anchors = np.load(root / "anchors_256.npy")
    log = read_log(next((root / "navsim_logs/golden").glob("*_00000_00022.pkl")), "golden")
    tokens = frozenset(map(str, expected["tokens"]))
    scenes = {scene.token: scene for scene in find_scenes([log], SceneFilter(tokens=tokens))}
    for i, token in enumerate(expected["tokens"]):
        scene = scenes[str(token)]
        city = read_map(root / "maps", scene.current.map_location)
        np.testing.assert_allclose(trajectory_target(scene), expected["trajectory"][i, 0], rtol=1e-6, atol=1e-6)
        states, labels = agent_target(scene.current, COMPAT)
        np.testing.assert_allclose(states, expected["agent_states"][i], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(labels, expected["agent_labels"][i])
        np.testing.assert_array_equal(bev_map_target(scene, city, COMPAT), expected["bev_semantic_map"][i])
        last_poses = anchors[expected["sampled_trajs_index"][i], COMPAT.future_index - 1]
        future = paint_ego(future_base_map(scene, city, COMPAT), last_poses, COMPAT)
        np.testing.assert_array_equal(future, expected["fut_bev_semantic_map"][i])
