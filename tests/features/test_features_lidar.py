from __future__ import annotations

import numpy as np
import pytest

from wotempo.features import FeatureSpec, lidar_feature
from wotempo.geometry import LIDAR_HISTOGRAM, BevGrid

# The second has cells that no binary fraction expresses; in the third, dividing puts many an edge into the cell below
# it, and some points just below an edge into the cell above.
GRIDS = [
    LIDAR_HISTOGRAM,
    BevGrid(-1.1, 2.3, -0.7, 0.6, 17, 13),
    BevGrid(0.0, 103.0, -7.5, 7.5, 64, 84),
]


def numpy_histogram(points: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    z = points[2]
    above = points[:2, (z > spec.lidar_split_height) & (z < spec.lidar_max_height)]
    return np.minimum(np.histogramdd(above.T, bins=spec.lidar_grid.edges())[0], spec.lidar_max).astype(np.uint8)


@pytest.mark.parametrize("grid", GRIDS)
def test_equals_numpy_on_edges_and_beside_them(grid):
    spec = FeatureSpec(lidar_grid=grid)
    x_edges, y_edges = (edges.astype(np.float32) for edges in grid.edges())
    xs, ys = (
        np.concatenate([e, np.nextafter(e, np.float32(np.inf)), np.nextafter(e, np.float32(-np.inf)), [-1e-30, 1e-30]])
        for e in (x_edges, y_edges)
    )
    x, y = (grid.ravel() for grid in np.meshgrid(xs, ys))
    points = np.stack([x, y, np.ones_like(x)]).astype(np.float32)
    np.testing.assert_array_equal(lidar_feature(points, spec), numpy_histogram(points, spec))


@pytest.mark.parametrize("grid", GRIDS)
def test_equals_numpy_on_random_clouds(grid):
    spec = FeatureSpec(lidar_grid=grid)
    generator = np.random.default_rng(0)
    points = generator.normal(0, max(grid.half) / 2, (6, 50_000)).astype(np.float32)
    points[:, :100] = np.nan
    points[2, 100:200] = 0.2  # on the split height: ground
    points[2, 200:300] = 100.0  # on the maximum: dropped
    histogram = lidar_feature(points, spec)
    np.testing.assert_array_equal(histogram, numpy_histogram(points[:, 100:], spec))
    assert histogram.max() == spec.lidar_max  # the clip was needed


def test_axis_0_is_forward_and_axis_1_is_left():
    points = np.array([[10.1], [-20.1], [1.0]], np.float32)
    hits = np.argwhere(lidar_feature(points, FeatureSpec()))
    np.testing.assert_array_equal(hits, [[(10.1 + 32) // 0.25, (-20.1 + 32) // 0.25]])


def test_the_far_border_belongs_to_the_last_cell():
    points = np.array([[32.0, 32.01, -32.0], [32.0, 0.0, -32.0], [1.0, 1.0, 1.0]], np.float32)
    histogram = lidar_feature(points, FeatureSpec())
    assert histogram[255, 255] == 1
    assert histogram[0, 0] == 1
    assert histogram.sum() == 2


def test_empty_cloud():
    assert lidar_feature(np.zeros((6, 0), np.float32), FeatureSpec()).sum() == 0
