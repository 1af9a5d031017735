"""A stage driven frame by frame, and the same drive cut into windows."""

from __future__ import annotations

import torch
from chained_poses import step_poses
from fusion_windows import CHANNELS, GRID
from static_world import drives

from wotempo.fusion import TemporalFusion
from wotempo.geometry import relative_to

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


def windows(stage: TemporalFusion, bev: torch.Tensor, path, valid: torch.Tensor, seconds: torch.Tensor, n: int = 0):
    """The same through ``forward`` in windows of ``n`` frames (0: the stage's own number), as a data set would cut
    it: frames that are not there are zeros and not valid."""
    fused, n = [], n or stage.num_frames
    wide = torch.promote_types(bev.dtype, torch.float32)
    for t in range(bev.shape[1]):
        index = torch.arange(t - n + 1, t + 1)
        there = index >= 0
        index = index.clamp(min=0)
        ok = valid[:, index] & there
        pose = torch.from_numpy(relative_to(path[:, t : t + 1], path[:, index.numpy()])).to(wide)
        dt = torch.stack([seconds[:, i + 1 : t + 1].sum(1) for i in index.tolist()], 1).to(wide)
        maps = bev[:, index] * ok[:, :, None, None, None]
        fused.append(stage(maps, pose * ok[..., None], dt * ok, ok))
    return fused


def scene(batch: int, dtype: torch.dtype):
    """A drive with a dropped frame: maps, global poses, valid, seconds since the previous frame."""
    generator = torch.Generator().manual_seed(0)
    bev = torch.randn(batch, LENGTH, CHANNELS, *GRID.shape, generator=generator).to(dtype)
    valid = torch.ones(batch, LENGTH, dtype=torch.bool)
    valid[:, DROPPED] = False
    seconds = torch.full((batch, LENGTH), 0.5)
    seconds[:, 0] = 0.0
    return bev, drives(batch, LENGTH, seed=5), valid, seconds
