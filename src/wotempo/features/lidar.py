"""Above-ground LiDAR histogram on a BevGrid."""

from __future__ import annotations

import numpy as np

from wotempo.features.spec import FeatureSpec


def _bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Bin of each value, given edges[0] ≤ value ≤ edges[-1]; the last bin includes its right edge, as in numpy's
    histograms. Division may round a value beside an edge into the neighbour; comparing with the edges mends it."""
    count = len(edges) - 1
    guess = ((values - edges[0]) * (count / (edges[-1] - edges[0]))).astype(np.intp)
    np.clip(guess, 0, count - 1, out=guess)
    guess -= values < edges[guess]
    guess += values >= edges[guess + 1]
    return np.minimum(guess, count - 1, out=guess)


def moved_points(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """points (≥3, n) of one frame, pose (3,) float64 of that frame in another -> the same points in the axes of the
    other. Computed in float64 and cast back; heights and all further rows stay."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    x, y = points[:2].astype(np.float64)
    moved = points.copy()
    moved[0], moved[1] = pose[0] + c * x - s * y, pose[1] + s * x + c * y
    return moved


def lidar_feature(points: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Number of points per cell between the split height and the maximum height, clipped at ``spec.lidar_max``.

    points: (≥3, n) float32, rows x, y, z, … in the ego frame (metres), as ``read_pcd`` gives them.
    Returns (rows, cols) uint8 on ``spec.lidar_grid``: axis 0 is x, axis 1 is y. Points outside the grid are dropped;
    cell membership equals ``numpy.histogramdd`` on the grid's edges.
    """
    grid = spec.lidar_grid
    above = (points[2] > spec.lidar_split_height) & (points[2] < spec.lidar_max_height)
    x, y = points[0, above].astype(np.float64), points[1, above].astype(np.float64)
    inside = (x >= grid.x_min) & (x <= grid.x_max) & (y >= grid.y_min) & (y <= grid.y_max)
    x_edges, y_edges = grid.edges()
    row, col = _bins(x[inside], x_edges), _bins(y[inside], y_edges)
    counts = np.bincount(row * grid.cols + col, minlength=grid.rows * grid.cols)
    return np.minimum(counts, spec.lidar_max).astype(np.uint8).reshape(grid.shape)
