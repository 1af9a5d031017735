"""What the ring buffer hands to a stage."""

from __future__ import annotations

import torch
from fusion_streams import stream
from fusion_windows import GRID
from static_world import drives

from wotempo.fusion import TemporalFusion
from wotempo.geometry import relative_to


class Recorder(TemporalFusion):
    """Keeps what the ring buffer hands to ``forward``."""

    def forward(self, bev: torch.Tensor, pose: torch.Tensor, dt: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        self.window = (bev, pose, dt, valid)
        return bev[:, -1]


def test_ring_buffer_holds_the_last_window() -> None:
    """Poses and ages too, which not every stage reads; at UTM-sized places, after many steps."""
    stage, path = Recorder(1, GRID, 4, renormalise=False), drives(2, 60, seed=6)
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
