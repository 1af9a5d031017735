"""Measures of a sensor's content showing objects at given places: occupied LiDAR cells, contrast of a picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST = 3.0
"""Pixels: hulls that are narrower or lower tell nothing."""
AROUND = 0.5
"""Of a hull's width and height: so far reaches what is around it, to each side."""


def dilated(lidar: Tensor) -> Tensor:
    """lidar (B, 1, R, C) counts -> (B, R, C), 1 where a cell or a neighbour holds a point."""
    return F.max_pool2d((lidar > 0).float(), 3, 1, 1)[:, 0]


def integral(camera: Tensor) -> Tensor:
    """camera (B, 3, H, W) -> (B, 3, H + 1, W + 1) sums of all pixels above and to the left."""
    return F.pad(camera.double().cumsum(2).cumsum(3), (1, 0, 1, 0))


def occupied(near: Tensor, places: Tensor) -> Tensor:
    """near (R, C) from ``dilated``, places (n, K, 2) rows and columns -> (n,) share of the places whose cell, or a
    neighbour, holds a point; NaN where a place is outside."""
    inside = torch.isfinite(places).all(-1)
    row, col = torch.nan_to_num(places).round().long().unbind(-1)
    share = near[row.clamp(0, near.shape[0] - 1), col.clamp(0, near.shape[1] - 1)].mean(-1)
    return torch.where(inside.all(-1), share, torch.nan)


def contrast(sums: Tensor, hulls: Tensor) -> Tensor:
    """sums (3, H + 1, W + 1) from ``integral``, hulls (n, 4) left, top, right, bottom -> (n,) distance of the mean
    colours inside of a hull and around it, over 255; NaN where it is too small or not seen."""
    height, width = sums.shape[-2] - 1, sums.shape[-1] - 1
    size = hulls[:, 2:] - hulls[:, :2]
    seen = torch.isfinite(hulls).all(1) & (size >= SMALLEST).all(1)
    inner = torch.nan_to_num(hulls)
    grow = torch.nan_to_num(size) * AROUND
    outer = torch.cat((inner[:, :2] - grow, inner[:, 2:] + grow), 1)

    def total(boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Sums (3, n) and pixels (n,) of whole pixels inside."""
        left, right = boxes[:, 0].round().long().clamp(0, width), boxes[:, 2].round().long().clamp(0, width)
        top, bottom = boxes[:, 1].round().long().clamp(0, height), boxes[:, 3].round().long().clamp(0, height)
        found = sums[:, bottom, right] - sums[:, top, right] - sums[:, bottom, left] + sums[:, top, left]
        return found, ((right - left) * (bottom - top)).clamp(min=0)

    (inside, pixels), (whole, all_pixels) = total(inner), total(outer)
    ring = (all_pixels - pixels).clamp(min=1)
    apart = (inside / pixels.clamp(min=1) - (whole - inside) / ring).norm(dim=0) / 255
    return torch.where(seen & (pixels > 0) & (all_pixels > pixels), apart.float(), torch.nan)
