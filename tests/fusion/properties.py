"""What stages promise, one function per column of docs/fusion_properties.md.

Each takes a stage as built, in float64, and raises AssertionError where the promise is broken. All but ``starts as
none`` randomise every parameter: at initialisation they would prove nothing.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import torch
from fusion_windows import CHANNELS, FRAMES, GRID, randomise, window
from torch import Tensor

from wotempo.fusion import TemporalFusion

Property = Callable[[TemporalFusion], None]
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def random(fresh: TemporalFusion, dtype: torch.dtype = torch.float64) -> TemporalFusion:
    return randomise(copy.deepcopy(fresh)).to(dtype)


def difference(a: Tensor, b: Tensor) -> float:
    return float((a.detach().double() - b.detach().double()).abs().max())


def no_history(fresh: TemporalFusion) -> None:
    """Masked (whatever it holds), beyond the map or not in the window: the current map comes out, bit for bit."""
    for dtype in DTYPES:
        stage, w = random(fresh, dtype), window(dtype=dtype)
        gone = w.valid.clone()
        gone[:, :-1] = False
        for garbage in (1e4, float("nan")):
            bev = w.bev.clone()
            bev[:, :-1] = garbage
            assert torch.equal(stage(bev, w.pose, w.dt, gone), w.bev[:, -1])
        far = w.pose.clone()
        far[:, :-1, 0] = -500.0
        assert torch.equal(stage(w.bev, far, w.dt, w.valid), w.bev[:, -1])
        assert torch.equal(stage(*(x[:, -1:] for x in w.args())), w.bev[:, -1])
    stage, w = random(fresh), window()
    w.valid[1, :-1] = False  # one sample without history among others
    assert torch.equal(stage(*w.args())[1], w.bev[1, -1])


def starts_as_none(fresh: TemporalFusion) -> None:
    """As built, the current map comes out bit for bit, and the first gradient is not zero: not stuck there."""
    for dtype in DTYPES:
        w = window(dtype=dtype)
        assert torch.equal(copy.deepcopy(fresh).to(dtype)(*w.args()), w.bev[:, -1])
    fresh(*window().args()).square().sum().backward()
    assert any(bool((p.grad != 0).any()) for p in fresh.parameters())


def acts(fresh: TemporalFusion) -> None:
    """With random parameters the output is not the current map."""
    w = window()
    assert difference(random(fresh)(*w.args()), w.bev[:, -1]) > 1e-3


def missing_frames(fresh: TemporalFusion) -> None:
    """A frame that is not valid has no influence on output or gradient, while a valid one has some."""
    stage = random(fresh)
    for frame in range(FRAMES - 1):
        w = window()
        w.valid[:, frame] = False
        spoilt = copy.deepcopy(w)
        spoilt.bev[:, frame], spoilt.pose[:, frame], spoilt.dt[:, frame] = float("nan"), -3.0, 99.0
        spoilt.bev.requires_grad_()
        fused = stage(*spoilt.args())
        assert torch.equal(stage(*w.args()), fused)
        fused.square().sum().backward()  # 0·NaN is NaN: it is not enough to mask the output
        assert all(bool(x.grad.isfinite().all()) for x in (spoilt.bev, *stage.parameters()))
        assert not torch.equal(stage(*w.with_(valid=torch.ones_like(w.valid)).args()), fused)


def gradient(fresh: TemporalFusion) -> None:
    """It reaches every valid frame and no other, and every parameter."""
    stage, w = random(fresh), window()
    w.valid[0, 1] = w.valid[1, :2] = False
    bev = w.bev.requires_grad_()
    stage(*w.args()).square().sum().backward()
    assert bev.grad is not None
    assert torch.equal(bev.grad.abs().amax((2, 3, 4)) > 1e-9, w.valid)
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in stage.parameters())


def inside_mask(fresh: TemporalFusion) -> None:
    """k cells forward: the rear k rows of history lie outside the current map, its front k rows outside history."""
    k, stage, w = 6, random(fresh), window()
    pose = torch.zeros_like(w.pose)
    pose[:, :-1, 0] = -k * GRID.cell_x
    bev = w.bev.requires_grad_()
    fused = stage(bev, pose, w.dt, w.valid)
    (grad,) = torch.autograd.grad(fused.square().sum(), bev)
    assert bool((grad[:, :-1, :, :k] == 0).all())
    assert bool((grad[:, :-1, :, k:].abs().amax((2, 4)) > 0).all())
    assert torch.equal(fused[:, :, -k:], bev[:, -1, :, -k:])


def order(fresh: TemporalFusion) -> None:
    """Frames with their poses in another order give another output."""
    stage, w = random(fresh), window()
    fused = stage(*w.args())
    for places in ([2, 1, 0, 3], [1, 0, 2, 3], [0, 2, 1, 3]):
        assert difference(stage(w.bev[:, places], w.pose[:, places], w.dt, w.valid), fused) > 1e-3


def poses_matter(fresh: TemporalFusion) -> None:
    """Maps in reverse under their poses, and poses slightly turned, show in the output."""
    stage, w = random(fresh), window()
    fused = stage(*w.args())
    assert difference(stage(w.bev[:, [2, 1, 0, 3]], *w.args()[1:]), fused) > 1e-3
    turned = w.pose + torch.tensor([0.0, 0.0, 0.1]) * (w.dt > 0)[..., None]
    assert difference(stage(w.bev, turned, w.dt, w.valid), fused) > 1e-3


def own_warp(fresh: TemporalFusion) -> None:
    """The maps of the past come in by ``warp_history`` alone, called with what the stage was given: a check of that
    method judges the stage."""
    stage, w = random(fresh), window()
    fused = stage(*w.args())
    inner = getattr(stage, "stage", stage)  # a control alters what this one gets
    warp, poses = inner.warp_history, []

    def recorded(bev: Tensor, pose: Tensor, valid: Tensor, grid=None) -> tuple[Tensor, Tensor]:
        poses.append(pose)
        return warp(bev, pose, valid, grid)

    inner.warp_history = recorded
    stage(*w.args())
    aligned, mask = stage.warp_history(w.bev, w.pose, w.valid)
    assert len(poses) == 2 or stage.num_frames == 1
    assert all(torch.equal(pose, poses[0]) for pose in poses)
    nothing = w.bev.clone()
    nothing[:, :-1] = float("nan")
    inner.warp_history = lambda bev, pose, valid: (aligned, mask)
    assert torch.equal(stage(nothing, w.pose, w.dt, w.valid), fused)
    inner.warp_history = lambda bev, pose, valid: (aligned, mask & False)
    assert torch.equal(stage(*w.args()), w.bev[:, -1])


def batch(fresh: TemporalFusion) -> None:
    """Samples do not mix and do not depend on their place."""
    stage, w = random(fresh), window(batch=4)
    w.valid[1, :2] = w.valid[2, :-1] = False
    places = torch.tensor([2, 0, 3, 1])
    assert difference(stage(*(x[places] for x in w.args())), stage(*w.args())[places]) < 1e-12
    bev = w.bev.requires_grad_()
    (grad,) = torch.autograd.grad(stage(*w.args())[1].square().sum(), bev)
    assert bool((grad[[0, 2, 3]] == 0).all())
    assert bool((grad[1] != 0).any())


def pure(fresh: TemporalFusion) -> None:
    """Inputs are left alone, and nothing of one window stays behind for the next."""
    stage, first, second = random(fresh), window(seed=1), window(seed=2)
    kept = copy.deepcopy(first)
    before = stage(*first.args())
    assert all(torch.equal(a, b) for a, b in zip(first.args(), kept.args(), strict=True))
    stage(*second.args())
    assert torch.equal(stage(*first.args()), before)


def precision(fresh: TemporalFusion) -> None:
    """float64, float32, bf16 and autocast: shape and dtype kept, alignment and the promise about history too."""
    exact = random(fresh)(*window().args()).detach()
    for dtype, share in ((torch.float64, 1e-9), (torch.float32, 1e-3), (torch.bfloat16, 0.05)):
        w = window(dtype=dtype)
        fused = random(fresh, dtype)(*w.args())
        assert fused.shape == (len(w.bev), CHANNELS, *GRID.shape)
        assert fused.dtype is dtype
        assert bool(fused.isfinite().all())
        assert difference(fused, exact) < share * float(exact.abs().max())
    stage, w = random(fresh, torch.float32), window(dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        fused = stage(*w.args())
        w.valid[:, :-1] = False
        alone = stage(*w.args())
    assert fused.dtype is torch.bfloat16
    assert difference(fused, exact) < 0.05 * float(exact.abs().max())
    assert torch.equal(alone, w.bev[:, -1]) or not _needs_history(fresh)


def _needs_history(fresh: TemporalFusion) -> bool:
    w = window()
    w.valid[:, :-1] = False
    return torch.equal(random(fresh)(*w.args()), w.bev[:, -1])


def state_dict(fresh: TemporalFusion) -> None:
    """A checkpoint brings back the same function, from plain data."""
    stage, w, buffer = random(fresh), window(), io.BytesIO()
    torch.save(stage.state_dict(), buffer)
    buffer.seek(0)
    other = randomise(copy.deepcopy(fresh), seed=1)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(*w.args()), stage(*w.args()))


def compiles(fresh: TemporalFusion) -> None:
    """One graph without breaks, as ``module.compile()`` needs; without code generation, which would take a minute."""
    stage, w = random(fresh), window(batch=2)
    eager = stage(*w.args())
    torch._dynamo.reset()
    stage.compile(fullgraph=True, backend="aot_eager")
    assert difference(stage(*w.args()), eager) < 1e-9
