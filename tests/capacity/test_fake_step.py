"""The step of fake tensors: its bytes are those of a real step, on the device it is for, and nothing in it waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from official_weights import MICRO
from random_batches import random_batch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from wotempo.configs import values

from wotempo.capacity.fake_batch import SAMPLED, fake_batch, window_rows
from wotempo.capacity.fake_gpu import Allocations, Kept, backward, fake_tensors, to_fake
from wotempo.capacity.fake_step import AUTOCAST, FakeStep, step_memory
from wotempo.config.checks import PRECISIONS
from wotempo.fusion import POINTS, STAGES, build_fusion, level_of
from wotempo.fusion.controls.controls import CONTROLS
from wotempo.geometry import BACKBONE_BEV
from wotempo.planners.bev_planner import BevPlanner
from wotempo.planners.config import sizes
from wotempo.planners.registry import build_planner, planner_names
from wotempo.targets import TargetSpec
from wotempo.training.module import LitPlanner
from wotempo.training.optimiser import OptimiserConfig

OPTIMISER = OptimiserConfig(**values("train")["optimiser"])
CONVGRU = {"name": "convgru", "num_frames": 4}
NONE = {"name": "none", "num_frames": 1}


def a_step(model=MICRO, fusion=CONVGRU, batch_size=4, run_length=4, planner="wote", precision="32-true", **options):
    return FakeStep(planner, model, fusion, OPTIMISER, None, batch_size, run_length, precision, **options)


# ---- the same bytes as a real step


def real_step(step):
    """(bytes kept after the forward pass, bytes alive at the peak) of the same step with real tensors on this CPU."""
    torch.manual_seed(0)
    anchors = torch.zeros(step.model.num_anchors, step.model.num_poses, 3).numpy()
    module = LitPlanner(step.model.to_dict(), step.fusion, losses=step.losses, anchors=anchors)
    window, runs = module.model.needs.frames, step.batch_size // step.run_length
    batch = random_batch(step.model, step.batch_size, window, runs=runs, whole=True)
    kept = Kept(module.model.train())
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
        loss = torch.stack(list(module.terms_of(batch).values())).sum()
    before = kept.bytes
    assert loss.requires_grad
    return before


WAYS = {
    "one frame": {"fusion": NONE, "run_length": 1},
    "packed, LiDAR history, weighted": {"model": replace(MICRO, history_sensors="lidar", batch_norm="weighted")},
    "no gradient of history, agents": {"model": replace(MICRO, history_grad=0, agent_head=True, num_agents=30)},
    "recomputed": {"model": replace(MICRO, activation_checkpointing=True)},
}


@pytest.mark.parametrize("way", WAYS)
def test_activations_are_those_of_a_real_step(way):
    step = a_step(**WAYS[way])
    assert step_memory(step, "cpu").activations == pytest.approx(real_step(step), rel=0.01)


def test_the_parts_add_up():
    model = replace(MICRO, agent_head=True)
    found = step_memory(a_step(model, average=True, ranks=8), "cuda")
    planner = build_planner("wote", model, CONVGRU, torch.zeros(model.num_anchors, 8, 3).numpy())
    trained = [p for p in planner.parameters() if p.requires_grad]
    size = 4 * sum(p.numel() for p in trained)
    assert found.gradients == pytest.approx(size, rel=0.1)  # every tensor takes a block or more
    assert found.optimiser == pytest.approx(2 * found.gradients, rel=0.1)
    assert found.frames == 7
    held = 2 * found.parameters + 2 * found.gradients + found.optimiser + found.batch + found.activations
    assert found.counted > held
    assert found.counted < found.expected < found.at_most
    assert (found.average, found.buckets) == (found.parameters, found.gradients)


def test_less_is_less():
    single = {"fusion": NONE, "run_length": 1}
    none, packed, apart = (step_memory(a_step(**of)).activations for of in (single, {}, {"run_length": 1}))
    assert none < packed < apart
    assert step_memory(a_step(precision="bf16-mixed")).activations < 0.75 * packed


def test_every_precision_of_a_run_is_known():
    assert AUTOCAST.keys() == set(PRECISIONS)


# ---- on the device, without waiting


@pytest.mark.parametrize("planner", planner_names())
def test_no_step_of_any_planner_leaves_the_device_or_waits_for_it(planner):
    """Fake tensors refuse operations over two devices, and all that needs a number of the device."""
    model = replace(MICRO, num_agents=30, agent_head=True)
    assert step_memory(a_step(model, planner=planner), "cuda").waits == ()


@pytest.mark.parametrize(
    "options",
    [
        {"history_sensors": "lidar", "history_grad": 1, "batch_norm": "frozen"},
        {"batch_norm": "weighted", "scene_dropout": 0.1, "cell_dropout": 0.1, "activation_checkpointing": True},
        {"frozen_backbone": True},
    ],
    ids=str,
)
def test_no_way_to_train_waits(options):
    assert step_memory(a_step(replace(MICRO, **options), batch_size=2, run_length=2)).waits == ()


@pytest.mark.parametrize("name", [*STAGES, *CONTROLS])
def test_no_stage_and_no_control_waits(name):
    options = {"name": name} if name in STAGES else {"name": "convgru", "control": name}
    channels = 1 if level_of(options) == POINTS else 8
    stage = build_fusion(channels=channels, grid=BACKBONE_BEV, **options)
    maps = (2, stage.num_frames, channels, *stage.grid.shape)
    counts = Allocations("cuda")
    with torch.device("meta"):
        stage = stage.to("meta").train()
    with fake_tensors(counts):
        to_fake(stage, "cuda")
        window = (2, stage.num_frames)
        bev, pose = (torch.zeros(shape, device="cuda") for shape in (maps, (*window, 3)))
        valid = torch.ones(window, dtype=torch.bool, device="cuda")
        fused = [stage(bev.requires_grad_(), pose, pose[..., 0], valid).sum()]
        backward(fused)
    assert counts.waits == []
    assert bev.grad is not None


READS = {
    "unique": lambda x: torch.unique(x),
    "boolean index": lambda x: x[x > 0],
    "nonzero": lambda x: x.nonzero(),
    "item": lambda x: x.sum().item(),
    "truth": lambda x: bool((x > 0).all()),
    "two devices": lambda x: x + torch.zeros(len(x), device="cpu"),
}


@pytest.mark.parametrize("read", READS)
def test_what_waits_or_mixes_devices_is_refused(read):
    with fake_tensors(Allocations("cuda")):
        x = torch.zeros(3, device="cuda")
        with pytest.raises((DynamicOutputShapeException, DataDependentOutputException, RuntimeError)):
            READS[read](x)


def test_copies_that_wait_are_listed():
    counts = Allocations("cuda")
    with fake_tensors(counts):
        x = torch.zeros(3, device="cuda")
        here = torch.zeros(2, device="cpu")
        here.to("cuda", non_blocking=True)
        assert counts.waits == []
        here.to("cuda")
        x.cpu()
        x[:2].copy_(here)
    assert [wait.partition(",")[0] for wait in counts.waits] == ["cpu to cuda", "cuda to cpu", "cpu to cuda"]


def test_a_step_that_waits_is_an_error(monkeypatch):
    """As it was when the model asked the device which frames it needs."""
    fuse = BevPlanner.fuse
    unique = lambda self, bev, view: fuse(self, bev[torch.unique(view["frame_index"])], view)  # noqa: E731
    monkeypatch.setattr(BevPlanner, "fuse", unique)
    with pytest.raises(DynamicOutputShapeException):
        step_memory(a_step(batch_size=2, run_length=2))


# ---- its batch


def test_rows_of_runs():
    assert window_rows(3, 3, 2).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert window_rows(2, 1, 2).tolist() == [[0, 1], [2, 3]]
    assert window_rows(2, 2, 2, stride=2).tolist() == [[0, 2], [1, 3]]
    assert window_rows(8, 8, 4).max() + 1 == 11
    assert window_rows(8, 4, 4).max() + 1 == 14
    assert window_rows(3, 2, 1).tolist() == [[0], [1], [2]]


def test_a_fake_batch_has_the_shapes_of_a_real_one():
    planner = build_planner("wote", replace(MICRO, num_agents=30), CONVGRU, torch.zeros(12, 8, 3).numpy())
    real = random_batch(planner.config, 4, 4, sampled=SAMPLED, whole=True)
    with fake_tensors(Allocations("cpu")):
        fake = fake_batch(planner, 4, 4, "cpu")
    for name, value in real.items():
        if isinstance(value, torch.Tensor):
            assert (fake[name].shape, fake[name].dtype) == (value.shape, value.dtype), name
    assert fake["frame_rows"] == real["frame_index"].tolist()
    assert TargetSpec().num_sampled == SAMPLED


# ---- the count


def test_allocations_of_real_tensors():
    counts = Allocations("cpu")
    with counts:
        one = torch.ones(1000)
        view = one[:10]
        two = one * 2
        assert counts.now == 2 * 4096
        del two
        assert counts.now == 4096
        del one
        assert counts.now == 4096
        del view
    assert (counts.now, counts.peak) == (0, 2 * 4096)


@pytest.mark.slow
def test_the_full_size_model_needs_what_was_measured():
    """Bytes that a CPU step keeps after its forward pass, four packed windows: measured (docs/gpu.md)."""
    found = step_memory(a_step(sizes("wote"), CONVGRU, 4, 4), "cpu")
    assert found.activations == pytest.approx(4_513_101_880, rel=0.1)
    assert found.frames == 7
