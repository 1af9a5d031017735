"""The place in the BEV map to which an object at (x, y) metres is mapped, measured by putting one there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wotempo.geometry import BevGrid

Encode = Callable[[Tensor, Tensor], Tensor]
"""camera (F, 3, H, W), lidar (F, 1, R, C), floats in [0, 1] -> maps (F, C, rows, cols)."""
OBJECT_M = (4.0, 2.0)  # length and width: a car
REACH = 0.9  # of the half extents: further out half of what an object causes would lie outside
AHEAD = 0.375  # of the half extent: how far in front the objects of the lateral sweep stand


def with_object(lidar: Tensor, grid: BevGrid, x: float, y: float) -> Tensor:
    """lidar (F, 1, R, C) in [0, 1] on ``grid`` -> a copy whose cells are full within OBJECT_M around (x, y) metres."""
    row, col = grid.to_index(x, y)
    half_row, half_col = OBJECT_M[0] / grid.cell_x / 2, OBJECT_M[1] / grid.cell_y / 2
    rows, cols = torch.arange(grid.rows), torch.arange(grid.cols)
    inside = ((rows - row).abs() <= half_row)[:, None] & ((cols - col).abs() <= half_col)
    return lidar.masked_fill(inside.to(lidar.device), 1.0)


def centroid(response: Tensor) -> tuple[Tensor, Tensor]:
    """(..., rows, cols) -> continuous row and column (...). What the median cell has, too, is everywhere (attention
    reaches all cells): it says nothing about a place and would draw every centroid to the middle."""
    weight = (response - response.flatten(-2).median(-1).values[..., None, None]).clamp(min=0)
    weight = weight / weight.sum((-2, -1), keepdim=True).clamp(min=1e-12)
    rows, cols = (torch.arange(n, dtype=weight.dtype, device=weight.device) for n in weight.shape[-2:])
    return (weight.sum(-1) * rows).sum(-1), (weight.sum(-2) * cols).sum(-1)


@dataclass(frozen=True)
class Line:
    """Least squares ``found = slope · true + offset`` and the distance of ``found`` from ``true`` (root mean square),
    in metres as the grid that the fusion stage believes in has them."""

    slope: float
    offset_m: float
    error_m: float

    @classmethod
    def fit(cls, true: Tensor, found: Tensor) -> Line:
        """true, found (P,) metres."""
        t, f = true.double(), found.double()
        slope = ((t - t.mean()) * (f - f.mean())).sum() / ((t - t.mean()) ** 2).sum()
        error = (f - t).square().mean().sqrt()
        return cls(float(slope), float(f.mean() - slope * t.mean()), float(error))


@dataclass(frozen=True)
class ObjectResponse:
    """``along_x``: objects straight ahead and behind; ``ahead``: those ahead alone (a front half that is stretched over
    all rows has the slope 2); ``along_y``: beside each other in front of the ego; true and found metres in ``places``
    [(x, y, found x, found y)], means over the frames.

    ``whole_cells``, ``front_cells``: for those ahead, rows between where they land (root mean square) and where they
    would in the map of the whole extent, and in one of its front half stretched over all rows.
    ``near``: share of the response within one cell of the true place; ``strength``: of a typical cell's norm.
    """

    along_x: Line
    ahead: Line
    along_y: Line
    whole_cells: float
    front_cells: float
    near: float
    strength: float
    places: list[tuple[float, float, float, float]]


@torch.no_grad()
def object_response(
    encode: Encode, camera: Tensor, lidar: Tensor, lidar_grid: BevGrid, grid: BevGrid, steps: int = 15
) -> ObjectResponse:
    """camera (F, 3, H, W), lidar (F, 1, R, C) on ``lidar_grid``: real frames, floats in [0, 1]; ``grid``: what the
    maps of ``encode`` are taken to cover. ``steps`` places along each axis, 2·steps + 1 times F frames are encoded."""
    half_x, half_y = REACH * grid.half[0], REACH * grid.half[1]
    ahead = AHEAD * grid.half[0]
    sweep_x = [(x, grid.centre[1]) for x in torch.linspace(-half_x, half_x, steps).add(grid.centre[0]).tolist()]
    sweep_y = [(ahead, y) for y in torch.linspace(-half_y, half_y, steps).add(grid.centre[1]).tolist()]
    before = encode(camera, lidar)
    found, near, strength = [], [], []
    for x, y in (*sweep_x, *sweep_y):
        changed = (encode(camera, with_object(lidar, lidar_grid, x, y)) - before).float().norm(dim=1)  # (F, rows, cols)
        row, col = centroid(changed)
        found.append(torch.stack(grid.to_metres(row, col), -1).mean(0).cpu())
        near.append(_near(changed, *grid.to_index(x, y)))
        strength.append(changed.amax((1, 2)).mean() / before.float().norm(dim=1).mean().clamp(min=1e-12))
    true_p2, found_p2 = torch.tensor([*sweep_x, *sweep_y]), torch.stack(found)
    front = (torch.arange(len(true_p2)) < steps) & (true_p2[:, 0] > 0)
    rows = grid.to_index(found_p2[front, 0], 0.0)[0]

    def rows_off(layout: BevGrid) -> float:
        return float((rows - layout.to_index(true_p2[front, 0], 0.0)[0]).square().mean().sqrt())

    return ObjectResponse(
        along_x=Line.fit(true_p2[:steps, 0], found_p2[:steps, 0]),
        ahead=Line.fit(true_p2[front, 0], found_p2[front, 0]),
        along_y=Line.fit(true_p2[steps:, 1], found_p2[steps:, 1]),
        whole_cells=rows_off(grid),
        front_cells=rows_off(replace(grid, x_min=0.0)),  # as a stretched map head teaches
        near=float(torch.stack(near).mean()),
        strength=float(torch.stack(strength).mean()),
        places=[(*t, *f) for t, f in zip(true_p2.tolist(), found_p2.tolist(), strict=True)],
    )


def _near(response: Tensor, row: float, col: float) -> Tensor:
    """Of (F, rows, cols), the share in cells whose centre is at most one cell from (row, col)."""
    rows, cols = (torch.arange(n, device=response.device) for n in response.shape[-2:])
    window = ((rows - row).abs() <= 1)[:, None] & ((cols - col).abs() <= 1)
    return (response * window).sum() / response.sum().clamp(min=1e-12)
