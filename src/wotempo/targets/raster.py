"""Drawing polygons, lines and boxes onto a BevGrid with OpenCV.

OpenCV's scan conversion is not symmetric in its two axes, so the canvas is transposed as the public builder's is:
rows of the canvas are grid *columns* (y), columns of the canvas are grid *rows* (x).
"""

from __future__ import annotations

import cv2
import numpy as np

from wotempo.geometry import BevGrid
from wotempo.targets.spec import Mode

LINE_THICKNESS = 2  # cells


class BevCanvas:
    """A semantic map under construction; what is painted later covers what was painted before."""

    def __init__(self, grid: BevGrid, mode: Mode, start: np.ndarray | None = None) -> None:
        """``start``: a (rows, cols) uint8 map to continue on; it is not changed."""
        self.grid = grid
        self.mode = mode
        if start is None:
            self._canvas = np.zeros((grid.cols, grid.rows), np.uint8)
        else:
            self._canvas = np.array(start.T, order="C")

    def cells(self, xy: np.ndarray) -> np.ndarray:
        """(n, 2) metres -> (n, 2) int32 (row, column) of the cell that holds each point; may lie off the grid.

        ``compat`` truncates toward zero, which pulls the first cell beyond row or column 0 onto the grid.
        """
        row, col = self.grid.to_index(xy[:, 0], xy[:, 1])
        edges_passed = np.stack((row + 0.5, col + 0.5), axis=-1)
        whole = np.trunc(edges_passed) if self.mode == "compat" else np.floor(edges_passed)
        return whole.astype(np.int32)

    def polygon(self, xy: np.ndarray, value: int) -> None:
        """Fill the ring (n, 2) in metres, border cells included."""
        cv2.fillPoly(self._canvas, [self.cells(xy)], color=int(value))

    def line(self, xy: np.ndarray, value: int) -> None:
        """Draw the open polyline (n, 2) in metres."""
        cv2.polylines(self._canvas, [self.cells(xy)], isClosed=False, color=int(value), thickness=LINE_THICKNESS)

    def box(self, centre: np.ndarray, length: float, width: float, value: int) -> None:
        """Fill a rectangle; ``centre`` (3,) is x, y (m) and heading (rad)."""
        self.polygon(box_ring(centre, length, width), value)

    def finish(self) -> np.ndarray:
        """(rows, cols) uint8."""
        return np.ascontiguousarray(self._canvas.T)


def box_ring(centre: np.ndarray, length: float, width: float) -> np.ndarray:
    """(5, 2) closed ring front-left, rear-left, rear-right, front-right of a rectangle, metres."""
    x, y, heading = (float(value) for value in centre)
    cos, sin = np.cos(heading), np.sin(heading)
    forward = np.array([1.0, -1.0, -1.0, 1.0, 1.0]) * (length / 2)
    left = np.array([1.0, 1.0, -1.0, -1.0, 1.0]) * (width / 2)
    return np.stack((x + forward * cos - left * sin, y + forward * sin + left * cos), axis=-1)
