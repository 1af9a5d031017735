"""What every planner promises (``wotempo.planners.base``), whichever folder it was found in."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from batch_fields import fields_of
from defaults import run_config
from hydra import compose
from omegaconf import OmegaConf
from streams import drive_frames
from torch import Tensor
from torch.nn import functional as F

from callbacks.measures.contract import Contract
from wotempo.checkpoints.described import read_stored
from wotempo.checkpoints.init_from import require_start, start_from
from wotempo.checkpoints.rebuild import load_module
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.config.stored import stored as stored_config
from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.planners.base import Planner
from wotempo.planners.config import ModelConfig
from wotempo.planners.imitated import imitated_mean, imitation_weight
from wotempo.planners.registry import loss_weights, needs_of, planner_class, planner_names
from wotempo.report.ablation import future_miou, paired_difference, value
from wotempo.runs.provenance import signature
from wotempo.streaming.latency import single_frame
from wotempo.streaming.planner import StreamingPlanner
from wotempo.training.history_evidence import HistoryTally
from wotempo.training.module import LitPlanner
from wotempo.training.samples import collect_samples

T = 3
SIGNATURE = "72665061"  # of baseline_1epoch on the tiny town
NONE, CONVGRU = {"name": "none", "num_frames": 1}, {"name": "convgru", "num_frames": T}
EVERY = pytest.mark.parametrize("name", planner_names())


def anchors_for(name: str, config: ModelConfig) -> np.ndarray | None:
    if not planner_class(name).needs_anchors:
        return None
    return np.random.default_rng(0).normal(size=(config.num_anchors, config.num_poses, 3)).astype(np.float32) * 4


def lit(name: str, config: ModelConfig, fusion: dict, shake: bool = False) -> LitPlanner:
    """``shake``: all parameters are random, the zero-initialised ones too."""
    torch.manual_seed(0)
    module = LitPlanner(config.to_dict(), fusion, anchors=anchors_for(name, config), planner=name)
    module.log = module.log_dict = lambda *_, **__: None  # there is no trainer
    if shake:
        generator = torch.Generator().manual_seed(1)
        for parameter in module.model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


def only_needed(batch: dict, planner: Planner) -> dict:
    """The batch without what the planner does not ask for: reading it is an error."""
    needs, kept = planner.needs, {"always", "images", "targets"}
    kept |= {"anchors"} if needs.anchors else set()
    kept |= {"labels"} if needs.labels else set()
    return {key: batch[key] for key in fields_of(*kept) if key in batch}


@EVERY
@pytest.mark.parametrize("fusion", [NONE, CONVGRU], ids=["single", "temporal"])
def test_outputs_are_those_of_the_shape_contract(name, fusion, micro, make_batch):
    module = lit(name, micro, fusion)
    batch = only_needed(make_batch(window=fusion["num_frames"]), module.model)
    contract = Contract(module.shape_contract("train"), module)
    contract.check_batch(batch)
    contract.attach()
    module.training_step(batch, 0)
    contract.detach()
    assert not contract.first_violation
    assert not contract.unseen()
    plan = module(batch)
    b = len(batch["tokens"])
    assert plan["trajectory"].shape == (b, micro.num_poses, 3)
    assert plan["bev_semantic_map"].shape == (b, micro.num_bev_classes, *micro.map_shape)
    assert plan["fused_bev"].shape == (b, micro.bev_channels, *micro.bev_grid.shape)
    assert all(bool(value.isfinite().all()) for value in plan.values())


@EVERY
def test_a_few_steps_learn_one_batch(name, micro, make_batch):
    module = lit(name, micro, CONVGRU)
    batch = only_needed(make_batch(window=T), module.model)
    optimiser = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    terms = module.loss_terms
    assert set(terms) <= set(asdict(module.weights))
    assert sum(float(term.detach()) for term in terms.values()) == pytest.approx(losses[-1], rel=1e-5)


@EVERY
def test_every_trainable_parameter_gets_a_gradient(name, micro, make_batch):
    """A parameter that nothing runs would hold up training on several GPUs."""
    module = lit(name, micro, CONVGRU, shake=True)
    module.training_step(only_needed(make_batch(window=T), module.model), 0).backward()
    without = [key for key, p in module.named_parameters() if p.requires_grad and p.grad is None]
    unread = "_backbone.image_encoder.layer4"  # nothing reads the camera's last map; its tokens are exchanged
    assert [key for key in without if unread not in key] == []


@EVERY
def test_at_initialisation_temporal_is_single_frame(name, micro, make_batch):
    single, temporal = lit(name, micro, NONE).eval(), lit(name, micro, CONVGRU).eval()
    batch = only_needed(make_batch(window=T), temporal.model)
    assert torch.equal(single(batch)["trajectory"], temporal(batch)["trajectory"])


@EVERY
def test_history_acts_through_the_stage_alone(name, micro, make_batch):
    module = lit(name, micro, CONVGRU, shake=True).eval()
    batch = only_needed(make_batch(window=T), module.model)
    tally = HistoryTally()
    tally.add(module, batch)
    assert tally.figures()["plan_change_m"] > 0
    alone = {**batch, "valid": torch.cat((torch.zeros_like(batch["valid"][:, :-1]), batch["valid"][:, -1:]), 1)}
    changed = {**alone, "pose": batch["pose"] + 1.0}
    assert torch.equal(module(alone)["trajectory"], module(changed)["trajectory"])


@EVERY
def test_streaming_is_the_windowed_plan(name, micro):
    planner = lit(name, micro, CONVGRU, shake=True).eval().model
    frames = drive_frames(micro, 6)
    stream = StreamingPlanner(planner)
    streamed = [stream.push(frame).trajectory for frame in frames]
    with torch.no_grad():
        maps = torch.cat([_encoded(planner, frame.camera, frame.lidar) for frame in frames])
    for t in (T - 1, 5):
        index = torch.arange(t - T + 1, t + 1)
        pose = relative_to(frames[t].pose.numpy(), torch.cat([frames[i].pose for i in index]).numpy())
        ages = [(frames[t].timestamp_us - frames[i].timestamp_us).item() * 1e-6 for i in index]
        window = {
            "frame_index": index[None],
            "valid": torch.ones(1, T, dtype=torch.bool),
            "pose": torch.from_numpy(pose)[None].float(),
            "dt": torch.tensor([ages]),
        }
        with torch.no_grad():
            windowed = planner.select(planner.fuse(maps, window), frames[t].status)["trajectory"]
        assert torch.equal(streamed[t], windowed)
    assert not torch.equal(streamed[-1], single_frame(planner, frames[-1]))


def _encoded(planner: Planner, camera: Tensor, lidar: Tensor) -> Tensor:
    return planner.encode(camera.float() / 255, lidar.float() / planner.config.lidar_max)


def stored(path, module: LitPlanner):
    content = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), "global_step": 7}
    torch.save(content, path)
    return path


@EVERY
def test_a_checkpoint_gives_it_back(name, micro, make_batch, tmp_path):
    module = lit(name, micro, CONVGRU, shake=True).eval()
    path = stored(tmp_path / "a.ckpt", module)
    batch = only_needed(make_batch(window=T), module.model)
    again = load_module(path)
    assert torch.equal(again(batch)["trajectory"], module(batch)["trajectory"])
    assert type(again.model) is planner_class(name)
    assert again.model.needs == module.model.needs == needs_of(name, micro, CONVGRU)
    untrained = load_module(path, "untrained")
    assert not torch.equal(untrained(batch)["trajectory"], module(batch)["trajectory"])
    for variant in planner_class(name).variants:
        load_module(path, variant)(batch)
    with pytest.raises(UserError, match=rf"'{name}', which has no variant 'backwards'"):
        load_module(path, "backwards")


@EVERY
def test_a_temporal_run_starts_from_a_single_frame_of_the_same_planner(name, micro, tmp_path):
    path = stored(tmp_path / "single.ckpt", lit(name, micro, NONE, shake=True))
    module = lit(name, micro, CONVGRU)
    assert start_from(module, path)["of_step"] == 7
    weights = load_module(path).model.state_dict()
    ours = module.model.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in weights.items() if not key.startswith("fusion."))
    others = [other for other in planner_names() if other != name]
    for other in others:
        with pytest.raises(
            UserError, match=rf"holds the planner '{name}', this run trains '{other}'.*\n*.*planner={name}"
        ):
            require_start(read_stored(path), other, micro.mode, CONVGRU)
        with pytest.raises(UserError, match=f"holds the planner '{name}'"):
            start_from(lit(other, micro, CONVGRU), path)


@EVERY
def test_its_validation_is_logged(name, micro, make_batch):
    module = lit(name, micro, CONVGRU).eval()
    batch = only_needed(make_batch(window=T), module.model)
    with torch.no_grad():
        outputs = module.model(batch)
        plan = module.model.select(outputs["fused_bev"], batch["status"])
    metrics = module.model.metrics()
    metrics.update({**outputs, **plan}, batch)
    figures = metrics.compute()
    error = (plan["trajectory"] - batch["trajectory"])[..., :2].norm(dim=-1)
    assert float(figures["val/ade"]) == pytest.approx(float(error.mean()), rel=1e-5)
    assert {"val/fde", "val/bev_miou", "val/bev_vehicle_iou"} <= set(figures)
    samples = collect_samples(module, batch, 2)
    assert samples["plan"].shape == (2, micro.num_poses, 3)


@EVERY
def test_its_losses_are_named_in_its_yaml(name):
    text = files("wotempo.configs").joinpath(f"planner/{name}.yaml").read_text()
    options = yaml.safe_load(text)
    assert text.startswith("# @package _global_")
    assert options["planner"] == name
    assert asdict(loss_weights(name, options["losses"])) == options["losses"]


def test_an_unknown_planner_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"planner is 'transfuse', which is no planner: did you mean 'transfuser'\?"):
        planner_class("transfuse")


def test_a_planner_enters_the_signature_unless_it_is_the_oldest():
    oldest = run_config()
    runs = {name: signature(replace(oldest, planner=name)) for name in planner_names()}
    assert len(set(runs.values())) == len(runs)


def test_figures_of_an_imagined_future_are_left_out_for_who_imagines_none():
    rows = pd.DataFrame({"token": ["a", "b"], "log": ["x", "y"], "pdms": [0.5, 0.7]})
    assert np.isnan(value(rows, "future_vehicle_iou"))
    assert np.isnan(future_miou(rows))
    assert value(rows, "pdms") == pytest.approx(0.6)
    other = rows.assign(future_both_5=[1, 2], future_any_5=[2, 4])
    assert np.isnan(paired_difference({0: rows}, {0: other}, "future_vehicle_iou")).all()


# What the small model's recipe was when that configuration was stored.
THEN = ("model.num_anchors=64", "model.head_init=published", "model.channels_last=false", "model.evaluate_refined=true",
        "model.reward_weights=[0.1,0.5,0.5,1.0]", "trainer.batch_size=4", "trainer.run_length=4")  # fmt: skip


def test_signatures_of_wote_are_what_they_were(tmp_path):
    """Of a configuration that was stored, with its signature, before there were planners."""
    with loaded():
        raw = compose("train", ["experiment=baseline_1epoch", "profile=full", "run_dir=unset", *THEN])
        assert signature(check_config(raw)) == SIGNATURE
        raw = OmegaConf.create(OmegaConf.to_container(raw, resolve=True))  # as runs write it
        del raw["planner"], raw["name_prefix"], raw["model"]["head_init"], raw["model"]["channels_last"]
        (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(raw))  # as runs from before have it
        assert signature(check_config(stored_config(tmp_path))) == SIGNATURE
        other = compose("train", ["experiment=baseline_1epoch", "planner=transfuser", "run_dir=unset"])
        assert other.name == "transfuser_baseline_1epoch"
        assert signature(check_config(other)) != SIGNATURE


def gradient_of_the_human(module: LitPlanner, batch: dict, imitation: Tensor) -> Tensor:
    """(B,) largest gradient of the loss with respect to each sample's trajectory."""
    human = batch["trajectory"].clone().requires_grad_()
    module.training_step({**batch, "trajectory": human, "imitation": imitation}, 0).backward()
    return human.grad.abs().amax((1, 2))


@EVERY
def test_what_is_not_to_be_imitated_has_no_part_in_the_loss(name, micro, make_batch):
    module = lit(name, micro, CONVGRU, shake=True)
    batch = only_needed(make_batch(window=T), module.model)
    masked = torch.tensor([True, False, True])
    found = gradient_of_the_human(module, batch, masked)
    assert (found > 0).tolist() == masked.tolist()
    assert (gradient_of_the_human(module, batch, torch.ones(3, dtype=torch.bool)) > 0).all()
    assert not gradient_of_the_human(module, batch, torch.zeros(3, dtype=torch.bool)).any()


@EVERY
def test_the_loss_is_the_mean_over_the_samples_to_imitate(name, micro, make_batch):
    module = lit(name, micro, CONVGRU, shake=True).eval()
    batch = only_needed(make_batch(window=T), module.model)
    outputs = module.model(batch)

    def human_terms(imitation: list[bool], order: list[int]) -> dict[str, Tensor]:
        human = batch["trajectory"][order]
        given = {**batch, "trajectory": human, "imitation": torch.tensor(imitation)}
        return module.model.losses(outputs, given, module.weights)

    every, one = human_terms([True] * 3, [0, 1, 2]), human_terms([False, True, False], [0, 1, 2])
    other = human_terms([False, True, False], [2, 1, 0])  # what is not imitated is not looked at
    alone = [human_terms([k == i for k in range(3)], [0, 1, 2]) for i in range(3)]
    read = [key for key in every if not torch.equal(every[key], one[key])]
    assert set(read) == ({"traj_offset", "offset_im_reward", "im_reward"} if name == "wote" else {"trajectory"})
    for key in every:
        assert torch.equal(one[key], other[key])
        if key in read:
            torch.testing.assert_close(every[key], torch.stack([terms[key] for terms in alone]).mean())


def test_where_all_is_to_be_imitated_losses_and_gradients_are_the_plain_means_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    for samples in (1, 3, 7, 49):
        plan, human = (torch.randn(samples, 8, 3, generator=generator) for _ in range(2))
        batch = {"imitation": torch.ones(samples, dtype=torch.bool)}
        weighted, plain = plan.clone().requires_grad_(), plan.clone().requires_grad_()
        loss = imitated_mean(F.l1_loss(weighted, human, reduction="none"), imitation_weight(batch, weighted))
        expected = F.l1_loss(plain, human)
        loss.backward()
        expected.backward()
        assert torch.equal(loss, expected)
        assert torch.equal(weighted.grad, plain.grad)
