"""Scenes as a checkpoint sees them: what a picture of them is drawn from, and where their trajectories stand."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose
from omegaconf import OmegaConf

from wotempo.city import SplitSize, build_city, city_config, simulate_futures
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.evaluation.pictured import Photographer, _nearest_anchor, _on_camera
from wotempo.features import FeatureSpec
from wotempo.navsim import fingerprint
from wotempo.report.pictures.scene_card import moving_scene, scene_card
from wotempo.report.pictures.scene_picture import SAMPLE_FIELDS
from wotempo.targets import trajectory_target
from wotempo.training.module import LitPlanner

ANCHORS, FRAMES = 8, 3
SIZE = ("data.kind=navsim", "model.image_height=64", "model.image_width=256", f"model.num_anchors={ANCHORS}",
        "model.map_feature_shape=[32,32]", "model.map_shape=[64,128]", f"fusion.num_frames={FRAMES}",
        "data.prepare_workers=1", "trainer.num_workers=0", "trainer.batch_size=2")  # fmt: skip
FROZEN = ("model.frozen_backbone=true", "acceptance.gradient_flow.upstream=false")
STRAIGHT = np.stack((np.arange(1, 9) * 4.0, np.zeros(8), np.zeros(8)), 1)


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictured")
    (folder / "cache" / "town" / "frames-0").mkdir(parents=True)  # as runs leave it: what looks at one writes there
    return folder


@pytest.fixture(scope="module")
def run_of(workspace):
    """``run_of(name, *overrides)``: the folder of a run with untrained weights, the same for all of them."""
    town = replace(city_config("micro"), train=SplitSize(0, 0), val=SplitSize(0, 0), frames=20)
    build_city(workspace / "town", town)
    anchors = simulate_futures(city_config("micro"), 40, seed=0)
    anchors = anchors[np.linspace(0, len(anchors) - 1, ANCHORS).astype(int)].astype(np.float32)

    def make(name: str, *overrides: str) -> Path:
        folder = workspace / name
        (folder / "checkpoints").mkdir(parents=True)
        given = ["experiment=convgru_1epoch", f"workspace={workspace}", f"run_dir={folder}",
                 f"data.root={workspace / 'town'}", *SIZE, *overrides]  # fmt: skip
        with loaded():
            raw = compose("train", overrides=given)
        config = check_config(raw)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(raw, resolve=True))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = LitPlanner(model=config.model.to_dict(), fusion=config.fusion, optimiser=asdict(config.optimiser),
                             losses=config.losses, anchors=anchors,
                             anchors_fingerprint=fingerprint(anchors))  # fmt: skip
        content = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), "global_step": 0}
        torch.save(content, folder / "checkpoints" / "last.ckpt")
        return folder

    return make


@pytest.fixture(scope="module")
def photographer(run_of) -> Photographer:
    return Photographer(run_of("plain"), silent)


@pytest.fixture(scope="module")
def samples(photographer):
    """Of five scenes in an order of their own: more than are planned at a time."""
    return photographer.take(chosen(photographer))


def chosen(photographer) -> list[str]:
    tokens = list(photographer.scenes)
    return [tokens[i] for i in (4, 0, 3, 1, 2)]


def test_tokens_become_samples_with_all_their_fields(photographer, samples):
    assert [str(sample["token"]) for sample in samples] == chosen(photographer)
    maps = {"bev_truth", "bev_predicted", "future_truth", "future_predicted"}
    extra = {"future_truth", "future_predicted", "camera_expert", "camera_plan", "camera_all"}
    for sample in samples:
        assert set(sample) == {*SAMPLE_FIELDS, *extra}
        assert sample["camera"].shape == (64, 256, 3)
        assert sample["camera"].std() > 5  # a picture, not a blank
        assert len(sample["lidar"]) == len(sample["warped"]) == len(sample["valid"]) == FRAMES
        assert {sample[name].dtype for name in maps} == {np.dtype(np.uint8)}
        assert len({sample[name].shape for name in maps}) == 1
        assert sample["all_trajectory"].shape == (ANCHORS, 8, 3)
        assert sample["camera_all"].shape == (ANCHORS, 41, 2)
        assert sample["camera_plan"].shape == sample["camera_expert"].shape == (41, 2)
        scene = photographer.scenes[str(sample["token"])]
        np.testing.assert_allclose(sample["expert"], trajectory_target(scene), atol=1e-4)
    assert len({sample["camera"].tobytes() for sample in samples}) == len(samples)


def test_cards_are_drawn_from_them(samples):
    assert scene_card(samples[0])[8:12] == moving_scene(samples[:2])[8:12] == b"WEBP"


def test_a_scene_looks_the_same_alone(photographer, samples):
    alone = photographer.take([str(samples[3]["token"])])[0]
    for name, values in samples[3].items():
        if values.dtype.kind != "U":
            np.testing.assert_allclose(alone[name], values, atol=1e-3, err_msg=name)


def test_a_sequence_is_consecutive_windows_of_one_log_around_a_scene(photographer):
    tokens = list(photographer.scenes)
    for place in (0, len(tokens) // 2, len(tokens) - 1):
        found = photographer.sequence(tokens[place], 4)
        assert len(found) == 4
        assert tokens[place] in found
        scenes = [photographer.scenes[token] for token in found]
        assert {scene.log.name for scene in scenes} == {photographer.scenes[tokens[place]].log.name}
        apart = np.diff([scene.current.timestamp_us for scene in scenes]) / 1e6
        np.testing.assert_allclose(apart, 0.5, atol=0.05)
    assert photographer.sequence(None, 3)[0] == tokens[0]
    whole = photographer.sequence(tokens[0], 1000)
    assert set(whole) <= set(tokens)
    assert len(whole) > 4


def test_straight_ahead_goes_up_the_middle_of_the_picture(photographer):
    scene, spec = next(iter(photographer.scenes.values())), FeatureSpec(image_height=64, image_width=256)
    column, row = _on_camera(STRAIGHT, scene, spec).T
    seen = np.flatnonzero(~np.isnan(row))
    assert seen[-1] == 40  # the near end is below the picture, the far end in it
    assert len(seen) > 25
    assert (np.abs(column[seen] - 128) < 3).all()
    assert (np.diff(row[seen]) < 0).all()
    assert 32 < row[40] < row[seen[0]] < 64  # all of it below the horizon
    left, right = (_on_camera(STRAIGHT + np.array([0.0, y, 0.0]), scene, spec)[40, 0] for y in (4.0, -4.0))
    assert left < 128 - 3 < 128 + 3 < right
    behind = _on_camera(-STRAIGHT, scene, spec)
    assert np.isnan(behind).all()


def test_the_future_that_is_shown_is_that_of_the_nearest_anchor(photographer, samples):
    scene = photographer.scenes[str(samples[0]["token"])]
    expert = trajectory_target(scene)
    anchors = np.stack([expert + np.array([shift, 0.0, 0.0]) for shift in (3.0, -0.5, 1.0, -2.0)])
    assert _nearest_anchor(anchors, scene) == 1
    anchors[1, :, 2] += 3.0  # a heading is no distance
    assert _nearest_anchor(anchors, scene) == 1
    known = photographer.module.model.trajectory_anchors.numpy()
    means = [np.mean([np.hypot(*(a[k, :2] - expert[k, :2])) for k in range(8)]) for a in known]
    assert _nearest_anchor(known, scene) == int(np.argmin(means))


def test_a_run_on_cached_maps_is_pictured_from_images(run_of, samples):
    first = run_of("first", "fusion=none", "fusion.num_frames=1") / "checkpoints" / "last.ckpt"
    run = run_of("frozen", f"init_from={first}", *FROZEN)
    first.unlink()  # what a run started from may be gone
    frozen = Photographer(run, silent)
    assert frozen.module.model.config.frozen_backbone
    (sample,) = frozen.take([str(samples[1]["token"])])
    for name in ("camera", "bev_truth", "plan", "final_rewards", "future_predicted"):
        np.testing.assert_allclose(sample[name], samples[1][name], atol=1e-3, err_msg=name)
