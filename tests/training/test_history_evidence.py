"""What is said about the use of history is what happened, and saying it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from wotempo.fusion import STAGES, TemporalFusion
from wotempo.planners.config import ModelConfig
from wotempo.training.history_evidence import HistoryEvidence, HistoryTally, sentence, without_history
from wotempo.training.module import LitPlanner
from wotempo.training.samples import collect_samples

GATES = {
    "convgru": ("z", "r"),
    "convgru_recurrent": ("z", "r"),
    "convlstm": ("i", "f", "o"),
    "mingru": ("z",),
    "attention": ("a",),
}


class Ignores(TemporalFusion):
    def forward(self, bev, pose, dt, valid):
        return bev[:, -1]


class Doubles(TemporalFusion):
    """Adds the current map as often as there are valid history frames: half of it for each."""

    def forward(self, bev, pose, dt, valid):
        return bev[:, -1] * (1 + valid[:, :-1].sum(1)[:, None, None, None] / 2)


def lit(config: ModelConfig, stage: str = "convgru", **options) -> LitPlanner:
    """Every parameter of the stage random: at initialisation history has no effect."""
    torch.manual_seed(0)
    anchors = np.random.default_rng(0).normal(size=(config.num_anchors, config.num_poses, 3)).astype(np.float32)
    module = LitPlanner(config.to_dict(), {"name": stage, "num_frames": 3, **options}, anchors=anchors)
    for parameter in module.model.fusion.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module.eval()


def figures_of(module: LitPlanner, *batches: dict) -> dict[str, float]:
    tally = HistoryTally()
    for batch in batches:
        tally.add(module, batch)
    return tally.figures()


def test_a_stage_that_ignores_history_changes_nothing(micro, make_batch):
    module = lit(micro, "mean")
    module.model.fusion = Ignores(micro.bev_channels, micro.bev_grid, 3, renormalise=False)
    assert figures_of(module, make_batch()) == {"output_change": 0, "plan_change_m": 0, "residual_norm": 0}


def test_a_known_change_is_measured(micro, make_batch):
    """Two valid frames double the map, so the change has its norm; the window without history does not count."""
    module = lit(micro, "mean")
    module.model.fusion = Doubles(micro.bev_channels, micro.bev_grid, 3, renormalise=False)
    batch = make_batch(samples=3)  # the first has no history
    figures = figures_of(module, batch)
    assert figures["output_change"] == pytest.approx(1)
    assert figures["residual_norm"] == pytest.approx(1)
    plan, alone = (module.model.plan({**batch, "valid": v}) for v in (batch["valid"], without_history(batch["valid"])))
    moved = (plan["trajectory"] - alone["trajectory"])[1:, :, :2].norm(dim=-1).mean()
    assert figures["plan_change_m"] == pytest.approx(float(moved), rel=1e-3)
    assert figures["plan_change_m"] > 0
    batch["valid"][1, 0] = False  # of the two samples one now gets half as much
    assert figures_of(module, batch)["output_change"] == pytest.approx(0.75)
    assert figures_of(module, batch, make_batch(samples=3))["output_change"] == pytest.approx(3.5 / 4)


def test_the_mean_stage_has_its_analytic_change(micro, make_batch):
    """The ego stands: the mean of three maps differs from the last by a third of both differences."""
    module, batch = lit(micro, "mean"), make_batch()
    batch["pose"] = batch["pose"] * 0
    unit = {name: batch[name].float() / full for name, full in (("camera", 255), ("lidar", micro.lidar_max))}
    bev = module.model.encode(unit["camera"], unit["lidar"]).detach()[batch["frame_index"]][1:]
    change = (bev.mean(1) - bev[:, -1]).flatten(1).norm(dim=1) / bev[:, -1].flatten(1).norm(dim=1)
    figures = figures_of(module, batch)
    assert figures["output_change"] == pytest.approx(float(change.mean()), rel=1e-4)
    assert figures["residual_norm"] == pytest.approx(float(change.mean()), rel=1e-4)


def test_without_any_history_nothing_is_said(micro, make_batch):
    batch = make_batch()
    batch["valid"][:, :-1] = False
    figures = figures_of(lit(micro), batch)
    assert not {"output_change", "plan_change_m", "residual_norm"} & set(figures)
    assert sentence(figures) == "no sample with history was looked at"


def test_a_parameter_matched_block_adds_much_and_uses_no_history(micro, make_batch):
    figures = figures_of(lit(micro, control="single_frame_wide"), make_batch())
    assert figures["residual_norm"] > 0.01
    assert figures["output_change"] == 0


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"none"}))
def test_gates_are_those_of_the_call(micro, make_batch, name):
    module, batch = lit(micro, name), make_batch()
    if module.raw_history:
        batch |= {"lidar_stack": batch["lidar"][batch["frame_index"]], "lidar_stack_pose": batch["pose"]}
    figures = figures_of(module, batch)
    assert figures["output_change"] > 0
    gates = {key.rpartition("_")[0] for key in figures if key.rpartition("_")[2].isdigit()}
    assert gates == set(GATES.get(name, ()))
    if name == "attention":  # where all frames are seen they share 1
        batch["pose"] = batch["pose"] * 0
        figures = figures_of(module, batch)
        assert sum(figures[f"a_{k}"] for k in range(3)) == pytest.approx(1)
    if name in ("convgru", "convlstm", "mingru"):
        layer = module.model.fusion.cell.gates if name == "convgru" else module.model.fusion.gates
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, 1.0)
        for key, value in figures_of(module, batch).items():
            if key.rpartition("_")[2].isdigit():
                assert value == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-5)


def test_a_closed_gate_is_found_at_its_frame(micro, make_batch):
    """A minGRU whose gate opens for bright maps alone: the frame that is blank keeps it shut."""
    module, batch = lit(micro, "mingru"), make_batch()
    batch["pose"], batch["valid"] = batch["pose"] * 0, torch.ones_like(batch["valid"])
    hidden = module.model.fusion.gates.out_channels // 2
    nn.init.zeros_(module.model.fusion.gates.weight)
    nn.init.constant_(module.model.fusion.gates.weight[:hidden], 1e4)
    nn.init.zeros_(module.model.fusion.gates.bias)
    bev = torch.ones(2, 3, micro.bev_channels, *micro.bev_shape)
    bev[:, 1] = -1.0
    z = module.model.fusion.gate_values(bev, batch["pose"][:2], batch["dt"][:2], batch["valid"][:2])["z"]
    assert z.mean((0, 2, 3, 4)).tolist() == [1, 0, 1]


def test_hooks_are_gone_afterwards(micro, make_batch):
    module, batch = lit(micro), make_batch()
    before = module.model.plan(batch)["trajectory"]
    figures_of(module, batch)
    assert not module.model.fusion._forward_hooks
    assert not module.model.fusion._forward_pre_hooks
    assert torch.equal(module.model.plan(batch)["trajectory"], before)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_is_the_same_with_and_without(micro, make_batch, tmp_path):
    """Losses to the last bit, and what is logged; the config draws at random in training."""
    config = replace(micro, dropout=0.1, scene_dropout=0.2)
    batches = [make_batch(config, samples=2, seed=s) for s in range(3)]
    sentences: list[str] = []

    def run(*callbacks: L.Callback) -> tuple[list[float], dict[str, torch.Tensor]]:
        losses: list[float] = []
        module = lit(config, frame_dropout=0.3)
        recorder = L.Callback()
        recorder.on_train_batch_end = lambda t, m, out, *a: losses.append(float(out["loss"]))  # type: ignore[method-assign]
        torch.manual_seed(1)
        trainer = L.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=1, default_root_dir=tmp_path,
            callbacks=[recorder, *callbacks],
        )  # fmt: skip
        loaders = [DataLoader(batches, batch_size=None) for _ in range(2)]
        trainer.fit(module, *loaders)
        return losses, dict(trainer.callback_metrics)

    plain, metrics = run()
    watched, logged = run(HistoryEvidence(record=sentences.append))
    assert plain == watched
    assert len(plain) == 6
    assert set(logged) - set(metrics) >= {"history/output_change", "history/plan_change_m", "history/z_2"}
    assert float(logged["history/output_change"]) > 0
    assert all(torch.equal(logged[name], metrics[name]) for name in metrics if "seconds" not in name)
    assert len(sentences) == 2, "once for each validation, not for the sanity check"
    assert "without it the map changes by" in sentences[-1]


def test_batches_are_spread_over_the_validation(micro, monkeypatch):
    seen: list[int] = []
    monkeypatch.setattr(HistoryTally, "add", lambda self, module, batch: seen.append(batch))
    trainer = SimpleNamespace(
        num_val_batches=[10], sanity_checking=False, precision_plugin=L.pytorch.plugins.Precision()
    )
    module, evidence = lit(micro), HistoryEvidence(batches=3)
    for index in range(10):
        evidence.on_validation_batch_end(trainer, module, None, index, index)
    assert seen == [0, 3, 6]
    single = LitPlanner(micro.to_dict(), {"name": "none"}, anchors=np.zeros((micro.num_anchors, micro.num_poses, 3)))
    evidence.on_validation_batch_end(trainer, single, None, 0, 0)
    assert seen == [0, 3, 6], "a single frame has no history"


def test_samples_show_the_maps_that_the_stage_was_given(micro, make_batch):
    module, batch = lit(micro), make_batch(samples=3)
    samples = collect_samples(module, batch, count=2)
    before, after = samples["feature"], samples["feature_warped"]
    assert before.shape == after.shape == (2, 3, *micro.bev_shape)
    assert np.isnan(before[0, :2]).all(), "the first window has no history"
    assert np.isfinite(before[1]).all()
    assert np.array_equal(before[:, -1], after[:, -1]), "the current frame is where it was"
    unseen = np.isnan(after[1])
    assert unseen[:2].any()
    assert not unseen.all()
    unit = {name: batch[name].float() / full for name, full in (("camera", 255), ("lidar", micro.lidar_max))}
    now = module.model.encode(unit["camera"], unit["lidar"])[batch["frame_index"][1, -1]].norm(dim=0)
    np.testing.assert_allclose(before[1, -1], now.detach().numpy(), rtol=1e-4)
