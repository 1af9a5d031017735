"""One convolution over the stacked, aligned frames."""

from __future__ import annotations

from torch import Tensor

from wotempo.fusion.base import TemporalFusion
from wotempo.fusion.layers import check_kernel, output_projection
from wotempo.geometry import BevGrid


class ConcatFusion(TemporalFusion):
    """fused = current + K∗[x_1 … x_T], zeros where a frame does not show the cell.

    After BEVDet4D (Huang & Huang, arXiv 2203.17054), which encodes the concatenation of two aligned maps.
    ``kernel`` 1 is its minimum (T·C² parameters), 3 the rich control. ``dt`` is not read: a frame's place says it.
    """

    def __init__(self, channels: int, grid: BevGrid, num_frames: int, kernel: int, renormalise: bool) -> None:
        """``kernel``: odd, in cells."""
        super().__init__(channels, grid, num_frames, renormalise)
        check_kernel(kernel)
        self.project = output_projection(num_frames * channels, channels, kernel)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read. At most ``num_frames`` frames."""
        aligned, mask = self.warp_history(bev, pose, valid)
        return self.add_where_seen(bev, mask, self.project(self.full_length(aligned).flatten(1, 2)))
