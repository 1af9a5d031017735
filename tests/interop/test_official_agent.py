"""The agent for the official devkit plans what our evaluation plans, from the devkit's own way to hand over a scene."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin_devkit as devkit
import torch
from official_weights import lightning_file, official_state
from tiny_dataset import SPLIT, read_scenes, write_dataset

from wotempo.checkpoints.rebuild import load_module
from wotempo.data.module import NavsimDataModule
from wotempo.errors import UserError
from wotempo.interop import write_checkpoint
from wotempo.interop.official import import_official
from wotempo.navsim.schema import CAMERAS
from wotempo.navsim.unpickle import load_pickle
from wotempo.planners.config import sizes
from wotempo.preparation.datamodule import feature_spec
from wotempo.training.module import LitPlanner

SMALL = replace(sizes("wote_tiny"), image_height=32, image_width=128, image_tokens=(1, 4), num_anchors=12)
SMALL = replace(SMALL, lidar_shape=(64, 64), bev_shape=(2, 2), map_feature_shape=(16, 16), map_shape=(32, 64))
CONVGRU = {"name": "convgru", "num_frames": 4}
FUSIONS = {
    "none": {"name": "none", "num_frames": 1},
    "convgru": CONVGRU,
    "attention": {"name": "attention", "num_frames": 3},
    "stride": {"name": "convgru", "num_frames": 2, "frame_stride": 3},
    "lidar_stack": {"name": "lidar_stack", "num_frames": 4},
    "lidar": CONVGRU,
}
LOG = "straight"


def stored(path: Path, fusion: dict[str, Any], **sizes: Any) -> Path:
    """A checkpoint as training writes it, every parameter drawn: at its start a stage passes the current map on."""
    torch.manual_seed(3)
    config = replace(SMALL, **sizes)
    anchors = np.cumsum(np.random.default_rng(0).normal(1, 1, (12, 8, 3)), 1).astype(np.float32)
    module = LitPlanner(config.to_dict(), fusion, anchors=anchors)
    for name, value in module.model.named_parameters():
        if name != "trajectory_anchors":
            value.data.add_(torch.randn_like(value) * 0.1)
    content = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), "global_step": 1}
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("navsim"))


@pytest.fixture(scope="module")
def scenes(data):
    return read_scenes(data, (LOG,))


@pytest.fixture(scope="module")
def raw(data):
    return load_pickle(data.log_dir(SPLIT) / f"{LOG}.pkl")


@pytest.fixture(params=[1, 2], ids=["v1.1", "v2"])
def agent_class(request, monkeypatch):
    """``WoTEAgent``, imported where the stand-in is the devkit."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("navsim", "nuplan")]:
        monkeypatch.delitem(sys.modules, name)
    for name, module in devkit.modules(request.param).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "wotempo.interop.official_agent", raising=False)
    yield importlib.import_module("wotempo.interop.official_agent").WoTEAgent
    sys.modules.pop("wotempo.interop.official_agent", None)


def our_plans(checkpoint: Path, data, scenes, cache: Path) -> dict[str, np.ndarray]:
    """token -> plan, the way our evaluation goes: caches, windows, batches."""
    module = load_module(checkpoint)
    module_data = NavsimDataModule(
        data,
        cache,
        {"predict": scenes},
        module.model.trajectory_anchors.numpy(),
        feature_spec=feature_spec(module.model.config),
        batch_size=1,  # with others beside it a window is rounded differently
        needs=module.model.needs,
    )
    module_data.build_caches()
    module_data.setup("predict")
    pairs = [(b["tokens"], module(b)["trajectory"].numpy()) for b in module_data.predict_dataloader()]
    return {token: plan for tokens, plans in pairs for token, plan in zip(tokens, plans, strict=True)}


def handed_over(raw, data, index: int, agent, history: int = 4) -> devkit.AgentInput:
    frames = raw[index - history + 1 : index + 1]
    return devkit.load_agent_input(frames, data.blob_dir(SPLIT), agent.get_sensor_config())


@pytest.mark.parametrize("kind", FUSIONS)
def test_the_agent_plans_what_our_evaluation_plans(kind, agent_class, data, scenes, raw, tmp_path):
    sensors = "lidar" if kind == "lidar" else "both"
    checkpoint = stored(tmp_path / "last.ckpt", FUSIONS[kind], history_sensors=sensors)
    plans = our_plans(checkpoint, data, scenes, tmp_path / "cache")
    agent = agent_class(str(checkpoint))
    agent.initialize()
    compared = []
    for scene in scenes:
        if scene.index >= 3:  # the devkit has no windows that begin before their log
            planned = agent.compute_trajectory(handed_over(raw, data, scene.index, agent))
            np.testing.assert_allclose(planned.poses, plans[scene.token], rtol=0, atol=2e-6)
            assert planned.poses.dtype == np.float32
            assert (planned.trajectory_sampling.num_poses, planned.trajectory_sampling.interval_length) == (8, 0.5)
            compared.append(planned.poses)
    assert len(compared) == 5
    assert np.ptp(compared, 0).max() > 0.01, "plans of different scenes must differ, or nothing was compared"
    assert not agent.requires_scene
    assert "last.ckpt" in agent.name()


@pytest.mark.parametrize("kind", ["convgru", "lidar_stack"])
def test_a_reversed_history_is_another_plan(kind, agent_class, data, raw, tmp_path):
    agent = agent_class(str(stored(tmp_path / "last.ckpt", FUSIONS[kind])))
    right = handed_over(raw, data, 6, agent)
    turned = handed_over(raw, data, 6, agent)
    for name in ("cameras", "lidars"):
        frames = getattr(turned, name)
        setattr(turned, name, [*frames[-2::-1], frames[-1]])
    difference = agent.compute_trajectory(right).poses - agent.compute_trajectory(turned).poses
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "images", "clouds"),
    [
        ("none", [3], [3]),
        ("convgru", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("attention", [1, 2, 3], [1, 2, 3]),
        ("stride", [0, 3], [0, 3]),
        ("lidar_stack", [3], [0, 1, 2, 3]),
        ("lidar", [3], [0, 1, 2, 3]),
    ],
)
def test_only_the_sensors_that_the_checkpoint_looks_at_are_asked_for(kind, images, clouds, agent_class, tmp_path):
    sensors = "lidar" if kind == "lidar" else "both"
    agent = agent_class(str(stored(tmp_path / "last.ckpt", FUSIONS[kind], history_sensors=sensors)))
    wanted = {name.lower(): images if name in ("CAM_F0", "CAM_L0", "CAM_R0") else False for name in CAMERAS}
    assert vars(agent.get_sensor_config()) == {**wanted, "lidar_pc": clouds}


def test_a_window_that_reaches_further_back(agent_class, data, scenes, raw, tmp_path):
    """Refused, or masked as our evaluation masks what a log does not hold, or handed over by a longer filter."""
    checkpoint = stored(tmp_path / "last.ckpt", {"name": "convgru", "num_frames": 4, "frame_stride": 2})
    plans = our_plans(checkpoint, data, scenes, tmp_path / "cache")
    with pytest.raises(
        UserError, match=r"last\.ckpt sees 4 frames of stride 2, 7 frames of a log, .*hands over 4: set"
    ):
        agent_class(str(checkpoint)).initialize()
    masked = agent_class(str(checkpoint), missing_history="mask")
    assert masked.get_sensor_config().lidar_pc == [1, 3]
    first = masked.compute_trajectory(handed_over(raw, data, 3, masked)).poses
    np.testing.assert_allclose(first, plans[raw[3]["token"]], rtol=0, atol=2e-6)
    later = masked.compute_trajectory(handed_over(raw, data, 7, masked)).poses
    assert np.abs(later - plans[raw[7]["token"]]).max() > 1e-3, "what is masked here is seen there"
    longer = agent_class(str(checkpoint), num_history_frames=7)
    assert longer.get_sensor_config().cam_f0 == [0, 2, 4, 6]
    whole = longer.compute_trajectory(handed_over(raw, data, 7, longer, history=7)).poses
    np.testing.assert_allclose(whole, plans[raw[7]["token"]], rtol=0, atol=2e-6)
    with pytest.raises(UserError, match=r"holds \[4\] frames, the agent was set up for 7"):
        longer.compute_trajectory(handed_over(raw, data, 7, longer))


def test_absent_sensors_are_refused_or_masked(agent_class, data, raw, tmp_path):
    checkpoint = str(stored(tmp_path / "last.ckpt", CONVGRU))
    agent, masking = agent_class(checkpoint), agent_class(checkpoint, missing_history="mask")
    whole = masking.compute_trajectory(handed_over(raw, data, 6, masking)).poses
    without = handed_over(raw, data, 6, agent)
    without.lidars[1] = devkit.Lidar()
    without.cameras[1].cam_l0 = devkit.Camera()
    with pytest.raises(UserError, match=r"history frame 1 .* has no LiDAR, CAM_L0: set agent\.missing_history=mask"):
        agent.compute_trajectory(without)
    assert np.abs(masking.compute_trajectory(without).poses - whole).max() > 1e-4
    without.cameras[3].cam_f0 = devkit.Camera()
    for one in (agent, masking):
        with pytest.raises(UserError, match=r"history frame 1|the current frame of the AgentInput has no CAM_F0"):
            one.compute_trajectory(without)
    without.lidars[1] = devkit.Lidar()
    backwards = handed_over(raw, data, 6, agent)
    backwards.ego_statuses.reverse()
    with pytest.raises(UserError, match="relative to the last frame"):
        agent.compute_trajectory(backwards)


def test_wrong_checkpoints_are_one_sentence(agent_class, tmp_path):
    with pytest.raises(UserError, match=r"there is no checkpoint .*nowhere\.ckpt"):
        agent_class(str(tmp_path / "nowhere.ckpt")).initialize()
    torch.save({"state_dict": {"net.weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match=r"other\.ckpt is not a checkpoint of this project"):
        agent_class(str(tmp_path / "other.ckpt")).initialize()
    cut = stored(tmp_path / "cut.ckpt", CONVGRU)
    content = torch.load(cut, weights_only=True)
    del content["state_dict"]["model._bev_downscale.bias"]
    torch.save(content, cut)
    with pytest.raises(UserError, match=r"cut\.ckpt is of another model: 1 .*_bev_downscale\.bias, absent there"):
        agent_class(str(cut)).initialize()
    oracle = stored(tmp_path / "oracle.ckpt", {"name": "none", "num_frames": 1, "control": "oracle_velocity"})
    with pytest.raises(UserError, match=r"oracle\.ckpt holds an oracle"):
        agent_class(str(oracle)).initialize()
    with pytest.raises(UserError, match="missing_history is 'copy'"):
        agent_class(str(stored(tmp_path / "last.ckpt", CONVGRU)), missing_history="copy").initialize()


def test_an_official_checkpoint_goes_through_the_same_door(agent_class, data, raw, tmp_path, monkeypatch):
    """As such, and by way of an import: the same plan, with the anchors of the file."""
    published = {"wote": replace(SMALL, num_anchors=256)}
    monkeypatch.setattr("wotempo.interop.planner_file.sizes", published.get)
    official = lightning_file(tmp_path / "official.ckpt", official_state(SMALL))
    written = write_checkpoint(import_official(official, SMALL), tmp_path / "ours.ckpt")
    plans = []
    for checkpoint in (official, written.checkpoint):
        agent = agent_class(str(checkpoint))
        assert agent.get_sensor_config().cam_r0 == [3]
        plans.append(agent.compute_trajectory(handed_over(raw, data, 6, agent)).poses)
        assert agent.model.config.mode == "compat"
    np.testing.assert_array_equal(*plans)


def test_without_the_devkit_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "navsim", None)
    monkeypatch.delitem(sys.modules, "wotempo.interop.official_agent", raising=False)
    with pytest.raises(UserError, match="the official NAVSIM devkit cannot be imported"):
        importlib.import_module("wotempo.interop.official_agent")


def test_the_devkit_finds_the_agent_by_its_yaml(agent_class, tmp_path):
    from hydra import compose, initialize_config_module
    from hydra.utils import instantiate

    checkpoint = stored(tmp_path / "epoch=1.ckpt", CONVGRU)
    filtered = "+train_test_split.scene_filter.num_history_frames=4"
    with initialize_config_module("wotempo.configs", version_base=None):
        config = compose(overrides=["+agent=wotempo", f"agent.checkpoint='{checkpoint}'", filtered])
    agent = instantiate(config.agent)
    assert (type(agent).__name__, agent.num_history_frames) == ("WoTEAgent", 4)
    agent.initialize()
