"""Stages by name, and the yaml files that name them."""

from __future__ import annotations

import inspect

import pytest
import torch
from fusion_windows import CHANNELS, GRID, randomise, window
from hydra import compose
from omegaconf import OmegaConf
from wotempo.configs import option_names, values

from wotempo.config.composition import loaded
from wotempo.errors import UserError
from wotempo.fusion import STAGES, TemporalFusion, build_fusion, level_of
from wotempo.geometry import BACKBONE_BEV

YAMLS = option_names("fusion")


@pytest.mark.parametrize("name", YAMLS)
def test_yaml_names_a_stage_and_its_keywords(name: str) -> None:
    config = values(f"fusion/{name}")
    assert config["name"] in STAGES
    stage = build_fusion(channels=4, grid=BACKBONE_BEV, **config)
    assert type(stage) is STAGES[config["name"]]
    assert stage.num_frames == config.get("num_frames", stage.num_frames)


def test_every_stage_has_a_yaml_of_its_name() -> None:
    assert set(STAGES) <= set(YAMLS)


@pytest.mark.parametrize("name", YAMLS)
def test_values_are_read_as_hydra_composes_them(name: str) -> None:
    with loaded():
        composed = OmegaConf.to_container(compose("train", overrides=[f"fusion={name}"]).fusion)
    assert values(f"fusion/{name}") == composed


@pytest.mark.parametrize("name", STAGES)
def test_constructors_have_no_values_of_their_own(name: str) -> None:
    parameters = inspect.signature(STAGES[name]).parameters.values()
    assert [p.name for p in parameters if p.default is not p.empty] == []


@pytest.mark.parametrize("name", [name for name in STAGES if name != "none"])
def test_what_is_not_given_is_the_yamls(name: str) -> None:
    """As in a checkpoint that stores few keys."""
    few, all_keys = {"name": name, "num_frames": 3}, {**values(f"fusion/{name}"), "num_frames": 3}
    built = [build_fusion(channels=4, grid=BACKBONE_BEV, **options) for options in (few, all_keys)]
    plain = [{key: value for key, value in vars(stage).items() if not key.startswith("_")} for stage in built]
    assert plain[0] == plain[1]
    assert plain[0]["frame_stride"] == 1
    assert [p.shape for p in built[0].parameters()] == [p.shape for p in built[1].parameters()]


@pytest.mark.parametrize("name", STAGES)
def test_attributes(name: str) -> None:
    stage = build_fusion(name, 4, BACKBONE_BEV)
    assert isinstance(stage, TemporalFusion)
    assert (stage.channels, stage.grid) == (4, BACKBONE_BEV)
    assert stage.level == level_of({"name": name}) == ("points" if name == "lidar_stack" else "bev8")
    assert stage.num_frames >= 1


@pytest.mark.parametrize("frames", [1, 2, 8])
@pytest.mark.parametrize("name", [name for name in STAGES if name != "none"])
def test_lengths_of_history(name: str, frames: int) -> None:
    if name == "lidar_stack" and frames == 1:
        return  # refused, see below
    stage, w = randomise(build_fusion(name, CHANNELS, GRID, frames).double()), window(batch=1, frames=frames)
    # Slowly: at the drives' own speed the oldest of eight frames would have left the map.
    pose = w.pose * torch.tensor([0.1, 0.1, 0.0], dtype=w.pose.dtype)
    bev = w.bev.requires_grad_()
    fused = stage(bev, pose, w.dt, w.valid)
    assert torch.equal(fused, bev[:, -1]) == (frames == 1)
    (grad,) = torch.autograd.grad(fused.square().sum(), bev)
    assert bool((grad.abs().amax((2, 3, 4)) > 0).all())


def test_none_is_the_single_frame_model() -> None:
    """No parameters and no random draws: the same state-dict keys and the same weights drawn after it."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    stage = build_fusion("none", 4, BACKBONE_BEV)
    assert torch.equal(torch.get_rng_state(), before)
    assert stage.state_dict() == {}
    assert stage.num_frames == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("convgur", {}, r"fusion\.name is 'convgur'.*'convgru'.*Known: attention, .*, none, solo"),
        ("non", {}, r"'none'"),
        ("convgru", {"kernal": 3}, r"fusion\.kernal.*'kernel'"),
        ("none", {"hidden": 4}, r"fusion\.hidden.*'none'"),
        ("convgru", {"kernel": 4}, r"fusion\.kernel.*odd"),
        ("convgru", {"kernel": "3"}, r"fusion\.kernel is '3'.*int"),
        ("convgru", {"kernel": True}, r"fusion\.kernel is True"),
        ("convgru", {"hidden": 0}, r"fusion\.hidden"),
        ("convgru", {"num_frames": 0}, r"fusion\.num_frames"),
        ("none", {"num_frames": 4}, r"fusion\.num_frames.*set it to 1"),
        ("convgru", {"form": "narrow"}, r"fusion\.form is 'narrow'.*bottleneck"),
        ("convlstm", {"hidden": 0}, r"fusion\.hidden"),
        ("mingru", {"kernel": 2}, r"fusion\.kernel.*odd"),
        ("concat", {"kernel": 0}, r"fusion\.kernel.*odd"),
        ("attention", {"heads": 0}, r"fusion\.heads is 0"),
        ("deformable", {"points": 0}, r"fusion\.points is 0"),
        ("deformable", {"reach": 0.0}, r"fusion\.reach is 0\.0 cells on a map of \(8, 8\)"),
        ("convgru", {"control": "nowarp"}, r"fusion\.control is 'nowarp'.*'no_warp'"),
        ("none", {"control": "no_warp"}, r"fusion\.control is 'no_warp', but fusion\.num_frames is 1"),
        ("mean", {"control": "single_frame_wide"}, r"no parameters to match"),
        ("convgru", {"frame_stride": 0}, r"fusion\.frame_stride is 0"),
        ("convgru", {"frame_stride": True}, r"fusion\.frame_stride is True"),
        ("none", {"frame_stride": 2}, r"fusion\.frame_stride is 2, but fusion\.num_frames is 1"),
        ("convgru", {"level": "points"}, r"fusion\.level is 'points', but the stage 'convgru' works at bev8"),
        ("lidar_stack", {"level": "bev8"}, r"fusion\.level is 'bev8', but the stage 'lidar_stack' works at points"),
        ("lidar_stack", {"num_frames": 1}, r"fusion\.num_frames is 1.*set fusion=none"),
        ("lidar_stack", {"hidden": 0}, r"fusion\.hidden is 0"),
        ("convgru", {"frame_dropout": 1.0}, r"fusion\.frame_dropout is 1\.0"),
        ("none", {"frame_dropout": 0.5}, r"fusion\.frame_dropout is 0\.5, but fusion\.num_frames is 1"),
    ],
)
def test_mistakes_are_named(name: str, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build_fusion(name, 4, BACKBONE_BEV, **options)


def test_the_stages_are_the_files_that_define_one() -> None:
    """Wrappers of stages are none, nor is what a file only imports."""
    assert {"none", "mean", "convgru", "convgru_recurrent", "lidar_stack"} <= set(STAGES)
    assert not {"base", "altered", "controls", "frame_dropout", "oracle_velocity", "single_frame_wide"} & set(STAGES)
    assert all(kind.__module__ == f"wotempo.fusion.{name}" for name, kind in STAGES.items())
