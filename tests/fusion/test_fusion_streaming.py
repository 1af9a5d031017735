"""Frame by frame through the ring buffer is the same function as window by window."""

from __future__ import annotations

import pytest
import torch
from fusion_windows import CHANNELS, GRID
from static_world import drives

from wotempo.fusion import TemporalFusion
from wotempo.geometry import relative_to, step_poses

LENGTH, DROPPED = 9, 4


def stream(stage: TemporalFusion, bev: torch.Tensor, path, valid: torch.Tensor, seconds: torch.Tensor):
    """Maps (B, L, C, H, W) one by one -> list of fused maps."""
    steps = torch.from_numpy(step_poses(path))
    state = stage.initial_state(bev.shape[0], bev.device, bev.dtype)
    fused = []
    for t in range(bev.shape[1]):
        # At the first frame there is no previous one; any finite pose will do.
        step = steps[:, t - 1] if t else torch.ones(len(bev), 3)
        output, state = stage.step(state, bev[:, t], step, seconds[:, t], valid[:, t])
        fused.append(output)
    return fused


def windows(stage: TemporalFusion, bev: torch.Tensor, path, valid: torch.Tensor, seconds: torch.Tensor):
    """The same through ``forward``, as a data set would cut it: frames that are not there are zeros and not valid."""
    fused, n = [], stage.num_frames
    for t in range(bev.shape[1]):
        index = torch.arange(t - n + 1, t + 1)
        there = index >= 0
        index = index.clamp(min=0)
        ok = valid[:, index] & there
        pose = torch.from_numpy(relative_to(path[:, t : t + 1], path[:, index.numpy()])).float()
        dt = torch.stack([seconds[:, i + 1 : t + 1].sum(1) for i in index.tolist()], 1).float()
        maps = bev[:, index] * ok[:, :, None, None, None]
        fused.append(stage(maps, pose * ok[..., None], dt * ok, ok))
    return fused


def scene(batch: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    bev = torch.randn(batch, LENGTH, CHANNELS, *GRID.shape, generator=generator).to(dtype)
    valid = torch.ones(batch, LENGTH, dtype=torch.bool)
    valid[:, DROPPED] = False
    seconds = torch.full((batch, LENGTH), 0.5)
    seconds[:, 0] = 0.0
    return bev, drives(batch, LENGTH, seed=5), valid, seconds


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_stream_equals_windows_bit_for_bit(stage: TemporalFusion, dtype: torch.dtype) -> None:
    stage, data = stage.to(dtype), scene(1, dtype)
    pairs = list(zip(stream(stage, *data), windows(stage, *data), strict=True))
    for t, (streamed, windowed) in enumerate(pairs):
        # A dropped frame has no map to give; whatever comes out of it is no promise.
        assert torch.equal(streamed, windowed) or t == DROPPED
    changed = [not torch.equal(streamed, data[0][:, t]) for t, (streamed, _) in enumerate(pairs)]
    assert changed == [t > 0 and stage.num_frames > 1 for t in range(LENGTH)]  # and history did act


class Recorder(TemporalFusion):
    """Keeps what the ring buffer hands to ``forward``."""

    def forward(self, bev: torch.Tensor, pose: torch.Tensor, dt: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        self.window = (bev, pose, dt, valid)
        return bev[:, -1]


def test_ring_buffer_holds_the_last_window() -> None:
    """Poses and ages too, which not every stage reads; at UTM-sized places, after many steps."""
    stage, path = Recorder(1, GRID, 4), drives(2, 60, seed=6)
    seconds = torch.linspace(0.4, 0.6, 60).expand(2, -1)
    bev = torch.arange(60.0).expand(2, -1)[:, :, None, None, None].expand(-1, -1, 1, *GRID.shape)
    valid = torch.arange(60).expand(2, -1) % 7 != 0
    stream(stage, bev, path, valid, seconds)
    maps, pose, dt, ok = stage.window
    assert torch.equal(maps, bev[:, -4:])
    assert torch.equal(ok, valid[:, -4:])
    assert torch.equal(pose, torch.from_numpy(relative_to(path[:, -1:], path[:, -4:])).float())
    ages = torch.stack([seconds[:, 60 - k :].sum(1) for k in (3, 2, 1, 0)], 1)
    assert torch.allclose(dt, ages, atol=1e-6)


def test_batched_stream_equals_single_streams(stage: TemporalFusion) -> None:
    stage, (bev, path, valid, seconds) = stage.float(), scene(3, torch.float32)
    valid[1, :3] = False  # sequences that begin at different times
    together = stream(stage, bev, path, valid, seconds)
    for b in range(3):
        alone = stream(stage, *(x[b : b + 1] for x in (bev, path, valid, seconds)))
        assert all(torch.allclose(x[b], y[0], atol=1e-5) for x, y in zip(together, alone, strict=True))


def test_state_is_not_changed_in_place(stage: TemporalFusion) -> None:
    """The same step from the same state twice: a replay may branch."""
    stage, (bev, path, valid, seconds) = stage.float(), scene(1, torch.float32)
    steps = torch.from_numpy(step_poses(path))
    state = stage.initial_state(1, bev.device, bev.dtype)
    for t in range(3):
        _, state = stage.step(state, bev[:, t], steps[:, t], seconds[:, t], valid[:, t])
    first, _ = stage.step(state, bev[:, 3], steps[:, 2], seconds[:, 3], valid[:, 3])
    again, _ = stage.step(state, bev[:, 3], steps[:, 2], seconds[:, 3], valid[:, 3])
    assert torch.equal(first, again)


def test_memory_ends_with_the_window(stage: TemporalFusion) -> None:
    """A frame that has left the buffer has no influence left."""
    stage, (bev, path, valid, seconds) = stage.float(), scene(1, torch.float32)
    other = bev.clone()
    other[:, 0] = 50.0
    a, b = stream(stage, bev, path, valid, seconds), stream(stage, other, path, valid, seconds)
    n = stage.num_frames
    assert all(torch.equal(x, y) for x, y in zip(a[n:], b[n:], strict=True))
    assert not torch.equal(a[n - 1], b[n - 1])
