"""BevGrid: metres and cells."""

from __future__ import annotations

import numpy as np
import pytest

from wotempo.geometry import BACKBONE_BEV, LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid

OBLONG = BevGrid(-16.0, 48.0, -20.0, 28.0, 32, 12)


@pytest.mark.parametrize("grid", [BACKBONE_BEV, LIDAR_HISTOGRAM, SEMANTIC_FRONT, OBLONG])
def test_index_and_metres_are_inverse(grid: BevGrid) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-50, 50, (2, 100))
    assert np.allclose(grid.to_metres(*grid.to_index(x, y)), (x, y), atol=1e-12)


@pytest.mark.parametrize("grid", [BACKBONE_BEV, LIDAR_HISTOGRAM, SEMANTIC_FRONT, OBLONG])
def test_histogram_cell_is_the_nearest_index(grid: BevGrid) -> None:
    rng = np.random.default_rng(1)
    for x, y in zip(rng.uniform(grid.x_min, grid.x_max, 20), rng.uniform(grid.y_min, grid.y_max, 20), strict=True):
        histogram, _, _ = np.histogram2d([x], [y], bins=grid.edges())
        assert tuple(np.argwhere(histogram)[0]) == tuple(round(i) for i in grid.to_index(x, y))


def test_histogram_example() -> None:
    """As navsim's own builder: the point (10.1, 5.1) falls into [168, 148]."""
    assert tuple(round(i) for i in LIDAR_HISTOGRAM.to_index(10.1, 5.1)) == (168, 148)


def test_the_three_grids() -> None:
    assert (LIDAR_HISTOGRAM.cell_x, LIDAR_HISTOGRAM.cell_y) == (0.25, 0.25)
    assert (BACKBONE_BEV.cell_x, BACKBONE_BEV.cell_y) == (8.0, 8.0)
    assert BACKBONE_BEV.to_index(0.0, 0.0) == (3.5, 3.5)
    assert BACKBONE_BEV.with_shape(64, 64).to_index(0.0, 0.0) == (31.5, 31.5)
    assert BACKBONE_BEV.with_shape(64, 64).row_of_edge(0.0) == 32


def test_row_edges() -> None:
    assert [OBLONG.row_of_edge(x) for x in (-16.0, -14.0, 48.0)] == [0, 1, 32]
    with pytest.raises(ValueError, match="inside a row"):
        OBLONG.row_of_edge(-15.0)
    with pytest.raises(ValueError, match="inside a row"):
        BACKBONE_BEV.with_shape(7, 8).row_of_edge(0.0)


@pytest.mark.parametrize("numbers", [(1, 1, 0, 2, 3, 3), (0, 1, 2, 1, 3, 3), (0, 1, 0, 1, 0, 3), (0, 1, 0, 1, 3, 0)])
def test_empty_grid_is_refused(numbers: tuple) -> None:
    with pytest.raises(ValueError, match="empty"):
        BevGrid(*numbers)
