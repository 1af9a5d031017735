"""The semantic map head, for the present and for imagined futures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.errors import UserError
from wotempo.geometry import BevGrid


def resize(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return F.interpolate(x, size=shape, mode="bilinear", align_corners=False)


class BEVUpsampleHead(nn.Module):
    """(M, C, rows, cols) -> (M, map_channels, *shape) over the same extent."""

    def __init__(self, in_channels: int, channels: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.up_conv5 = nn.Conv2d(channels, channels, 3, padding=1)
        self.up_conv4 = nn.Conv2d(channels, channels, 3, padding=1)
        self.c5_conv = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.c5_conv(x))
        x = F.relu(self.up_conv5(resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))))
        return F.relu(self.up_conv4(resize(x, self.shape)))


def map_head(channels: int, classes: int) -> nn.Sequential:
    """(M, channels, r, c) -> logits (M, classes, r, c)."""
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, classes, 1))


def class_weights(numbers: list[float] | None, logits: Tensor) -> Tensor | None:
    """``losses.map_class_weights`` as a tensor (K,) for logits (M, K, R, C); None: all classes count alike. UserError
    where there are not as many as classes."""
    if numbers is None:
        return None
    if len(numbers) != logits.shape[1]:
        raise UserError(
            f"losses.map_class_weights has {len(numbers)} numbers, the map has {logits.shape[1]} classes: give one for "
            "each, or null"
        )
    return torch.tensor(numbers).to(logits.device, non_blocking=True)  # the host does not wait for the device


def to_map(logits: Tensor, grid: BevGrid, target: BevGrid, mode: str) -> Tensor:
    """Logits on the backbone's extent (``grid`` names it) -> logits on the raster of the target map.

    logits (M, K, r, c) -> (M, K, *target.shape). ``fixed`` cuts out what the target covers before the last upsampling.
    ``compat`` stretches all rows, those behind the ego too, over the half in front, as WoTE does.
    """
    if mode == "fixed":
        source = grid.with_shape(*logits.shape[-2:])
        logits = logits[..., source.row_of_edge(target.x_min) :, :]
    return resize(logits, target.shape)
