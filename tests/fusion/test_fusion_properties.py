"""What every stage promises, whatever its parameters are (``TemporalFusion``)."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from fusion_windows import CHANNELS, FRAMES, GRID, randomise, window

from wotempo.fusion import TemporalFusion

PAST = range(FRAMES - 1)


def sees_history(stage: TemporalFusion) -> bool:
    return stage.num_frames > 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_shape_and_dtype(stage: TemporalFusion, dtype: torch.dtype) -> None:
    fused = stage.to(dtype)(*window(dtype=dtype).args())
    assert fused.shape == (3, CHANNELS, *GRID.shape)
    assert fused.dtype is dtype
    assert bool(fused.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("garbage", [1e4, float("nan")])
def test_without_valid_history_the_current_map_comes_out(stage, dtype: torch.dtype, garbage: float) -> None:
    w = window(dtype=dtype)
    bev, valid = w.bev.clone(), w.valid.clone()
    bev[:, :-1], valid[:, :-1] = garbage, False
    assert torch.equal(stage.to(dtype)(bev, w.pose, w.dt, valid), bev[:, -1])


def test_samples_without_history_are_left_alone_among_others(stage: TemporalFusion) -> None:
    w = window()
    w.valid[1, :-1] = False
    assert torch.equal(stage(*w.args())[1], w.bev[1, -1])


def test_window_of_one_frame(stage: TemporalFusion) -> None:
    w = window()
    assert torch.equal(stage(*(x[:, -1:] for x in w.args())), w.bev[:, -1])


def test_at_initialisation_the_current_map_comes_out(fresh: TemporalFusion) -> None:
    w = window()
    assert torch.equal(fresh(*w.args()), w.bev[:, -1])
    assert torch.equal(randomise(fresh)(*w.args()), w.bev[:, -1]) != sees_history(fresh)  # the randomised one does act


def test_order_of_history(stage: TemporalFusion) -> None:
    """Frames with their poses in another order: seen by an order-aware stage, not by another."""
    w = window()
    fused = stage(*w.args())
    for order in ([2, 1, 0, 3], [1, 0, 2, 3], [0, 2, 1, 3]):
        difference = (stage(w.bev[:, order], w.pose[:, order], w.dt, w.valid) - fused).abs().max()
        assert difference > 1e-3 if stage.order_aware else difference < 1e-9


def test_maps_reversed_under_their_poses(stage: TemporalFusion) -> None:
    """The mistake of building the history back to front shows in the output."""
    w = window()
    difference = (stage(w.bev[:, [2, 1, 0, 3]], *w.args()[1:]) - stage(*w.args())).abs().max()
    assert (difference > 1e-3) == sees_history(stage)


def test_invalid_frames_spoil_no_gradient(stage: TemporalFusion) -> None:
    """0·NaN is NaN: it is not enough to mask the output."""
    w = window()
    w.bev[:, 1], w.valid[:, 1] = float("nan"), False
    w.bev.requires_grad_()
    stage(*w.args()).square().sum().backward()
    assert all(bool(x.grad.isfinite().all()) for x in (w.bev, *stage.parameters()))


@pytest.mark.parametrize("frame", PAST)
def test_invalid_frames_have_no_influence(stage: TemporalFusion, frame: int) -> None:
    w = window()
    w.valid[:, frame] = False
    spoilt = copy.deepcopy(w)
    spoilt.bev[:, frame], spoilt.pose[:, frame], spoilt.dt[:, frame] = float("nan"), -3.0, 99.0
    fused = stage(*w.args())
    assert torch.equal(stage(*spoilt.args()), fused)
    everything = w.with_(valid=torch.ones_like(w.valid))
    assert torch.equal(stage(*everything.args()), fused) != sees_history(stage)  # while a valid one has some


def test_gradient_reaches_every_valid_frame_and_no_other(stage: TemporalFusion) -> None:
    w = window()
    w.valid[0, 1] = w.valid[1, :2] = False
    bev = w.bev.requires_grad_()
    (gradient,) = torch.autograd.grad(stage(*w.args()).square().sum(), bev)
    reached = gradient.abs().amax((2, 3, 4)) > 1e-9
    expected = w.valid if sees_history(stage) else torch.tensor([False] * (FRAMES - 1) + [True]).expand_as(w.valid)
    assert torch.equal(reached, expected)


def test_gradient_reaches_every_parameter(stage: TemporalFusion) -> None:
    w = window()
    w.bev.requires_grad_()  # so that a stage without parameters has something to differentiate
    stage(*w.args()).square().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in stage.parameters())


def test_fresh_stage_starts_to_learn(fresh: TemporalFusion) -> None:
    """Zero-initialised, but not stuck: the first gradient is not zero."""
    w = window()
    w.bev.requires_grad_()
    fresh(*w.args()).square().sum().backward()
    assert not sees_history(fresh) or any(bool((p.grad != 0).any()) for p in fresh.parameters())


def test_history_that_is_not_seen_gets_no_gradient_and_gives_no_output(stage: TemporalFusion) -> None:
    """k cells forward: the rear k rows of history lie outside the current map, its front k rows outside history."""
    k, w = 6, window()
    pose = torch.zeros_like(w.pose)
    pose[:, :-1, 0] = -k * GRID.cell_x
    bev = w.bev.requires_grad_()
    fused = stage(bev, pose, w.dt, w.valid)
    (gradient,) = torch.autograd.grad(fused.square().sum(), bev)
    assert bool((gradient[:, :-1, :, :k] == 0).all())
    assert bool((gradient[:, :-1, :, k:].abs().amax((2, 4)) > 0).all()) or not sees_history(stage)
    assert torch.equal(fused[:, :, -k:], bev[:, -1, :, -k:])


def test_history_beyond_the_map_is_no_history(stage: TemporalFusion) -> None:
    w = window()
    pose = w.pose.clone()
    pose[:, :-1, 0] = -500.0
    assert torch.equal(stage(w.bev, pose, w.dt, w.valid), w.bev[:, -1])


def test_batch_permutation(stage: TemporalFusion) -> None:
    w = window(batch=4)
    w.valid[1, :2] = w.valid[2, :-1] = False
    order = torch.tensor([2, 0, 3, 1])
    permuted = stage(*(x[order] for x in w.args()))
    assert torch.allclose(permuted, stage(*w.args())[order], rtol=0, atol=1e-12)


def test_samples_do_not_mix(stage: TemporalFusion) -> None:
    w = window(batch=3)
    bev = w.bev.requires_grad_()
    (gradient,) = torch.autograd.grad(stage.train()(*w.args())[1].square().sum(), bev)
    assert bool((gradient[[0, 2]] == 0).all())
    assert bool((gradient[1] != 0).any())


def test_inputs_are_left_alone(stage: TemporalFusion) -> None:
    w = window()
    kept = copy.deepcopy(w)
    stage(*w.args())
    assert all(torch.equal(a, b) for a, b in zip(w.args(), kept.args(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast(stage: TemporalFusion, dtype: torch.dtype) -> None:
    """bf16 costs precision, never alignment, and never the promise about missing history."""
    stage, w = stage.float(), window(dtype=dtype)
    plain = stage(*w.with_(bev=w.bev.float()).args())
    with torch.autocast("cpu", torch.bfloat16):
        fused = stage(*w.args())
        w.valid[:, :-1] = False
        alone = stage(*w.args())
    assert fused.dtype is dtype
    assert (fused.float() - plain).abs().max() < 0.05 * plain.abs().max()
    assert torch.equal(alone, w.bev[:, -1])


def test_state_dict_round_trip(stage: TemporalFusion, fresh: TemporalFusion) -> None:
    buffer = io.BytesIO()
    torch.save(stage.state_dict(), buffer)
    buffer.seek(0)
    other = randomise(copy.deepcopy(stage), seed=1)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    w = window()
    assert torch.equal(other(*w.args()), stage(*w.args()))


def test_no_state_is_left_in_the_module(stage: TemporalFusion) -> None:
    first, second = window(seed=1), window(seed=2)
    before = stage(*first.args())
    stage(*second.args())
    assert torch.equal(stage(*first.args()), before)


def test_traces_as_one_graph(stage: TemporalFusion) -> None:
    """What ``torch.compile`` needs; without code generation, which would take a minute."""
    w = window()
    eager = stage(*w.args())
    stage.compile(fullgraph=True, backend="aot_eager")
    assert torch.allclose(stage(*w.args()), eager, atol=1e-9)
