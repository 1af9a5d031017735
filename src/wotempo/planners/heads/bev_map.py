"""The semantic map head, for the present and for imagined futures."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

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


def to_map(logits: Tensor, grid: BevGrid, target: BevGrid, mode: str) -> Tensor:
    """Logits on the backbone's extent (``grid`` names it) -> logits on the raster of the target map.

    logits (M, K, r, c) -> (M, K, *target.shape). ``fixed`` cuts out what the target covers before the last upsampling.
    ``compat`` stretches all rows, those behind the ego too, over the half in front, as WoTE does.
    """
    if mode == "fixed":
        source = grid.with_shape(*logits.shape[-2:])
        logits = logits[..., source.row_of_edge(target.x_min) :, :]
    return resize(logits, target.shape)
