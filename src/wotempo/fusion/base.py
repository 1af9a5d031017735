"""``TemporalFusion``, the base class of every fusion stage: its contract, its warp, streaming by a ring buffer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from wotempo.errors import UserError
from wotempo.geometry import BevGrid, compose
from wotempo.geometry.warp import warp_with_mask

POINTS = "points"  # the level of stages that are given LiDAR histograms whose points the data has aligned


@dataclass(frozen=True)
class RingBuffer:
    """The last T-1 frames of a stream, oldest first, and where they are seen from the newest of them.

    bev (B, T-1, C, H, W) · pose (B, T-1, 3) metres, radians, float64: composed once per step, and only rounded when a
    stage reads it, so that a long stream does not drift from the poses of a window · dt (B, T-1) seconds before the
    newest · valid (B, T-1) bool.
    """

    bev: Tensor
    pose: Tensor
    dt: Tensor
    valid: Tensor


class TemporalFusion(nn.Module, ABC):
    """Fuses the BEV maps of a short window, oldest first and the current frame last, into one map.

    A stage promises (``tests/fusion`` checks it for every entry of ``wotempo.fusion.STAGES``):

    - with no valid history the output *is* the current map, bit for bit, trained or not;
    - at initialisation it is the current map as well, so that a single-frame checkpoint can start a temporal run;
    - invalid frames, and cells outside the mask of a warped frame, have no influence whatever they hold;
    - every valid frame is reached by a gradient, and samples of a batch do not mix;
    - history is aligned by ``warp_history`` and nothing else, so that a check of that method judges the stage.
    """

    level: str = "bev8"  # where in the backbone the stage sits; bev8 = its last map
    frame_stride: int = 1  # frames of the log from one frame of a window to the next
    needs_motion: ClassVar[bool] = False  # True for an oracle, which looks at the true motion of agents (``reveal``)
    order_aware: ClassVar[bool] = True  # False: the output does not depend on the order of the history
    unjudged: Mapping[str, str] = MappingProxyType({})
    """Acceptance criteria that say nothing about this stage, by name, and why: a control breaks them on purpose."""

    def __init__(self, channels: int, grid: BevGrid, num_frames: int, renormalise: bool) -> None:
        """``num_frames`` counts the current frame. ``renormalise``: see ``warp_with_mask``."""
        super().__init__()
        if num_frames < 1:
            raise UserError(f"fusion.num_frames is {num_frames}; it counts the current frame, so set it to 1 or more")
        self.channels = channels
        self.grid = grid
        self.num_frames = num_frames
        self.renormalise = renormalise

    @property
    def takes_points(self) -> bool:
        """Whether it is given LiDAR histograms instead of maps, so that no encoder lies before it."""
        return self.level == POINTS

    def reveal(self, fused: Tensor, motion: Tensor) -> Tensor:
        """What an oracle adds to the fused map (B, C, H, W), given the agents' motion (B, A, 5): x, y (m), v_x, v_y
        (m/s, ego frame), present. Asked for where ``needs_motion``; others add nothing."""
        return fused

    @abstractmethod
    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """bev (B, T, C, H, W), pose (B, T, 3) of each frame in the current frame (metres, radians, float32 or float64),
        dt (B, T) seconds before the current frame, valid (B, T) bool -> (B, C, H, W) in the dtype of ``bev``."""

    def warp(self, maps: Tensor, pose: Tensor, grid: BevGrid | None = None) -> tuple[Tensor, Tensor]:
        """The one sampling that stages align by: maps (N, C, H, W), pose (N, 3) of them in the wanted axes -> the moved
        maps and the mask (N, 1, H, W) bool. See ``warp_with_mask``."""
        return warp_with_mask(maps, pose, grid or self.grid, renormalise=self.renormalise)

    def warp_history(
        self, bev: Tensor, pose: Tensor, valid: Tensor, grid: BevGrid | None = None
    ) -> tuple[Tensor, Tensor]:
        """Aligns a window with its current frame: each frame directly, by one bilinear sampling.

        bev (B, T, C, H, W) with any number of channels, pose (B, T, 3), valid (B, T) -> the aligned maps of the same
        shape and the mask (B, T, 1, H, W) bool of cells that were really seen. Maps are zero outside their mask.
        The current frame is passed on untouched; its pose is the identity by definition and is not read.
        ``grid``: the raster of ``bev`` if it is not the stage's own, e.g. ``stage.grid.with_shape(256, 256)``.
        """
        grid = grid or self.grid
        b, past = valid.shape[0], valid.shape[1] - 1
        current_mask = valid[:, -1:, None, None, None].expand(b, 1, 1, *grid.shape)
        if past == 0:
            return bev, current_mask
        # Blanked before sampling: whatever an invalid frame holds (NaN too) reaches neither output nor gradient.
        history_bpchw = bev[:, :-1].masked_fill(~valid[:, :-1, None, None, None], 0.0)
        warped, mask = self.warp(history_bpchw.flatten(0, 1), pose[:, :-1].flatten(0, 1), grid)
        mask_bp1hw = mask.unflatten(0, (b, past)) & valid[:, :-1, None, None, None]
        aligned = torch.cat((warped.unflatten(0, (b, past)), bev[:, -1:]), 1)
        return aligned, torch.cat((mask_bp1hw, current_mask), 1)

    def add_where_seen(self, bev: Tensor, mask: Tensor, update: Tensor) -> Tensor:
        """The residual of every learned stage, gated per cell: what no valid history frame shows stays exactly as the
        current frame sees it. "No valid history" is thereby no special case.

        bev (B, T, C, H, W), mask (B, T, 1, H, W) of ``warp_history``, update (B, C, H, W) -> (B, C, H, W).
        """
        current = bev[:, -1]
        return torch.where(mask[:, :-1].any(1), current + update.to(bev.dtype), current)

    def full_length(self, maps: Tensor) -> Tensor:
        """(B, ≤ num_frames, C, H, W) -> (B, num_frames, C, H, W): a shorter window lacks its oldest frames. For stages
        whose parameters count frames; ValueError for a longer window."""
        lacking = self.num_frames - maps.shape[1]
        if lacking < 0:
            raise ValueError(f"a window of {maps.shape[1]} frames, but the stage was built for {self.num_frames}")
        return torch.cat((maps.new_zeros(maps.shape[0], lacking, *maps.shape[2:]), maps), 1)

    def gate_values(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """What the stage lets through of each frame, as evidence that it uses history: name -> (B, T, K, H, W) in
        [0, 1] of the call ``forward(bev, pose, dt, valid)``, which it repeats. Outside the mask of ``warp_history`` the
        values mean nothing. Stages without gates have none."""
        return {}

    @staticmethod
    def ages(dt: Tensor, valid: Tensor) -> Tensor:
        """dt (B, T) seconds, zero where the frame is not valid, whatever it holds there."""
        return dt.masked_fill(~valid, 0.0)

    def initial_state(self, batch: int, device: torch.device | str, dtype: torch.dtype) -> RingBuffer:
        """An empty stream of ``batch`` sequences whose maps have ``dtype``."""
        past = self.num_frames - 1
        return RingBuffer(
            bev=torch.zeros(batch, past, self.channels, *self.grid.shape, device=device, dtype=dtype),
            pose=torch.zeros(batch, past, 3, device=device, dtype=torch.float64),
            dt=torch.zeros(batch, past, device=device, dtype=torch.float64),
            valid=torch.zeros(batch, past, device=device, dtype=torch.bool),
        )

    def step(
        self, state: RingBuffer, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor
    ) -> tuple[Tensor, RingBuffer]:
        """One frame of a stream; the same function of the last ``num_frames`` frames as ``forward``.

        bev (B, C, H, W) of the new frame, pose (B, 3) of the *previous* frame in the new one, dt (B,) seconds since the
        previous frame, valid (B,) whether the new map is real (a dropped frame is False; its pose must still be given)
        -> fused (B, C, H, W) and the next state. At the first step pose and dt are free: nothing valid precedes.
        The state keeps the graph of the maps it holds: call under ``no_grad`` or detach when driving.
        """
        moved = compose(pose.double()[:, None], state.pose)
        window = RingBuffer(
            bev=torch.cat((state.bev, bev[:, None]), 1),
            pose=torch.cat((moved, moved.new_zeros(len(pose), 1, 3)), 1),
            dt=torch.cat((state.dt + dt.double()[:, None], state.dt.new_zeros(len(dt), 1)), 1),
            valid=torch.cat((state.valid, valid[:, None]), 1),
        )
        wide = torch.promote_types(bev.dtype, torch.float32)
        fused = self(window.bev, window.pose.to(wide), window.dt.to(wide), window.valid)
        return fused, RingBuffer(window.bev[:, 1:], window.pose[:, 1:], window.dt[:, 1:], window.valid[:, 1:])
