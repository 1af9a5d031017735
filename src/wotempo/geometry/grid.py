"""BevGrid: the only place that knows extents, axis order and resolution of a bird's-eye-view map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BevGrid:
    """A raster over the ego frame (metres). Rows run with x ascending (row 0 is behind), columns with y ascending
    (column 0 is right). Cell (r, c) has its centre at
    ``x_min + (r + ½)·cell_x``, ``y_min + (c + ½)·cell_y``; a continuous index i denotes the centre of cell i.
    """

    x_min: float
    x_max: float
    y_min: float
    y_max: float
    rows: int
    cols: int

    def __post_init__(self) -> None:
        if not (self.x_max > self.x_min and self.y_max > self.y_min and self.rows > 0 and self.cols > 0):
            raise ValueError(f"{self} is empty: maxima must exceed minima and both counts be positive")

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def cell_x(self) -> float:
        """Metres per row."""
        return (self.x_max - self.x_min) / self.rows

    @property
    def cell_y(self) -> float:
        """Metres per column."""
        return (self.y_max - self.y_min) / self.cols

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle of the extent."""
        return (self.x_max + self.x_min) / 2, (self.y_max + self.y_min) / 2

    @property
    def half(self) -> tuple[float, float]:
        """Half extents (h_x, h_y) in metres: what ``affine_grid`` normalises by."""
        return (self.x_max - self.x_min) / 2, (self.y_max - self.y_min) / 2

    def with_shape(self, rows: int, cols: int) -> BevGrid:
        """The same extent at another resolution."""
        return BevGrid(self.x_min, self.x_max, self.y_min, self.y_max, rows, cols)

    def row_of_edge(self, x: float) -> int:
        """Index of the first row at or beyond the row edge ``x``; ValueError where ``x`` is inside a row."""
        edge = (x - self.x_min) / self.cell_x
        if abs(edge - round(edge)) > 1e-9:
            raise ValueError(f"x = {x} m lies inside a row of {self}")
        return round(edge)

    def to_index(self, x, y):
        """Metres -> continuous (row, column) index; integers are cell centres. Works on numbers, arrays and tensors."""
        return (x - self.x_min) / self.cell_x - 0.5, (y - self.y_min) / self.cell_y - 0.5

    def to_metres(self, row, col):
        """Continuous (row, column) index -> metres; the inverse of ``to_index``."""
        return self.x_min + (row + 0.5) * self.cell_x, self.y_min + (col + 0.5) * self.cell_y

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Bin edges for a histogram: (rows+1,) in x and (cols+1,) in y."""
        return np.linspace(self.x_min, self.x_max, self.rows + 1), np.linspace(self.y_min, self.y_max, self.cols + 1)


# The three grids of WoTE on NAVSIM (design: geometry).
LIDAR_HISTOGRAM = BevGrid(-32.0, 32.0, -32.0, 32.0, 256, 256)
BACKBONE_BEV = LIDAR_HISTOGRAM.with_shape(8, 8)
SEMANTIC_FRONT = BevGrid(0.0, 32.0, -32.0, 32.0, 128, 256)
