"""The splat that writes an action (an embedded trajectory) into a BEV map."""

from __future__ import annotations

import torch
from torch import Tensor

from wotempo.geometry import BevGrid


def splat_weights(xy: Tensor, grid: BevGrid, mode: str) -> Tensor:
    """Bilinear share that each cell of ``grid`` gets of a point; what falls outside is lost.

    xy (..., 2) metres in the ego frame -> (..., rows·cols), row-major. ``fixed`` measures from cell centres on the grid
    itself. ``compat`` does as WoTE: all rows over the half in front of the ego, and indices from cell *edges*, so that
    the ego lies in row 0 and a point between two cells counts for the wrong ones.
    """
    rows, cols = grid.shape
    x, y = xy[..., 0], xy[..., 1]
    if mode == "fixed":
        row, col = grid.to_index(x, y)
    else:
        stretched = BevGrid(0.0, grid.x_max, grid.y_min, grid.y_max, rows, cols)
        row, col = (index + 0.5 for index in stretched.to_index(x, y))
    # The hat function is 1 - d at the nearest cells and 0 from one cell on: bilinear weights without gathering.
    row_share = (1 - (row[..., None] - torch.arange(rows, device=xy.device, dtype=xy.dtype)).abs()).clamp(min=0)
    col_share = (1 - (col[..., None] - torch.arange(cols, device=xy.device, dtype=xy.dtype)).abs()).clamp(min=0)
    return (row_share[..., :, None] * col_share[..., None, :]).flatten(-2)


def ego_cells(grid: BevGrid, mode: str) -> tuple[int, ...]:
    """The cells, ascending, that an action at the ego is written to: ``compat`` one, ``fixed`` the four around."""
    weights = splat_weights(torch.zeros(2, device="cpu"), grid, mode).tolist()
    return tuple(cell for cell, weight in enumerate(weights) if weight)


def inject(tokens: Tensor, action: Tensor, weights: Tensor) -> Tensor:
    """Adds the action to the map where the weights say.

    tokens (B, N, L, C) or (B, 1, L, C), action (B, N, C), weights (N, L) or (L,) -> (B, N, L, C).
    """
    return torch.addcmul(tokens, weights[..., None].to(tokens.dtype), action[:, :, None].to(tokens.dtype))
