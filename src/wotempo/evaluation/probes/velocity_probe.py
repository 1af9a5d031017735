"""The share of the agents' velocities that a small network, fitted for it, can read from BEV maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.errors import UserError
from wotempo.geometry import BevGrid

WIDTH = 64
EPOCHS = 10
BATCH = 32
RATE = 2e-3


@dataclass(frozen=True)
class Reading:
    """R² of v_x and v_y (m/s, ego frame; 1 perfect, 0 no better than the mean), and the mean error in m/s."""

    forward: float
    lateral: float
    error: float


@dataclass(frozen=True)
class Windows:
    """maps (n, C, rows, cols) and the agents around each, motion (n, A, 5): x, y, v_x, v_y, present."""

    maps: Tensor
    motion: Tensor

    def at_agents(self, predicted: Tensor, grid: BevGrid) -> tuple[Tensor, Tensor]:
        """predicted (n, 2, rows, cols) at the cells of the agents, and their velocities: both (agents, 2)."""
        row, col = (index.round().long() for index in grid.to_index(self.motion[..., 0], self.motion[..., 1]))
        inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols) & (self.motion[..., 4] > 0)
        window = torch.arange(len(self.motion))[:, None].expand_as(row)
        cells = window[inside], row[inside], col[inside]
        return predicted.permute(0, 2, 3, 1)[cells], self.motion[..., 2:4][inside]

    def part(self, index: Tensor) -> Windows:
        return Windows(self.maps[index], self.motion[index])


def fit(train: Windows, others: list[Windows], grid: BevGrid, seed: int = 0) -> list[Reading]:
    """Fit on ``train``; how well it reads ``train`` and each of the ``others``. Agents beyond the map do not count;
    UserError where fewer than two are left."""
    torch.manual_seed(seed)
    mean, spread = train.maps.mean((0, 2, 3), keepdim=True), train.maps.std((0, 2, 3), keepdim=True).clamp(min=1e-3)
    probe = nn.Sequential(
        nn.Conv2d(train.maps.shape[1], WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Dropout2d(0.1),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, 2, 1),
    )

    def read(part: Windows) -> tuple[Tensor, Tensor]:
        return part.at_agents(probe((part.maps - mean) / spread), grid)

    optimiser = torch.optim.AdamW(probe.parameters(), RATE, weight_decay=0.1)
    batches = -(-len(train.maps) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(train.maps)).split(BATCH):
            predicted, true = read(train.part(index))
            if len(true) == 0:
                continue  # empty streets
            loss = F.smooth_l1_loss(predicted, true)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    probe.eval()
    with torch.no_grad():
        return [_judge(*read(part)) for part in (train, *others)]


def _judge(predicted: Tensor, true: Tensor) -> Reading:
    if len(true) < 2:
        raise UserError("hardly an agent stands on the BEV maps of these windows: take a run on more data")
    explained = 1 - (predicted - true).square().mean(0) / true.var(0, correction=0)
    return Reading(float(explained[0]), float(explained[1]), float((predicted - true).norm(dim=-1).mean()))
