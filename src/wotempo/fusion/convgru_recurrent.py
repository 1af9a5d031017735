"""ConvGRU whose state is carried from frame to frame and re-warped at every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wotempo.fusion.convgru import ConvGRUFusion
from wotempo.geometry import BevGrid, compose, relative_to


@dataclass(frozen=True)
class CarriedState:
    """h (B, hidden, H, W) in the axes of the last valid frame · pose (B, 3) float64 of that frame in the newest one,
    metres and radians · begun (B,) bool: whether there was a valid frame yet."""

    h: Tensor
    pose: Tensor
    begun: Tensor


class RecurrentConvGRUFusion(ConvGRUFusion):
    """``convgru`` with the state warped instead of the inputs: h is moved by one step of the ego, then reads a frame.

    The recurrence of FIERY and BEVDet-style online models: O(1) per driven frame and no end of memory, at the price of
    one more interpolation per step (at 8 m cells and 10 m/s a blur of 6.7 m after three steps, against 2.7 m). The
    weights are those of ``convgru``. Streaming equals this form unrolled over the whole drive to 1e-6, and not the
    window of ``num_frames`` that training sees: long drives remember more. A frame that is not valid leaves the state
    where it was; the next valid one moves it all the way. ``warp_history`` chains the steps as the state does.
    """

    def _read(self, h: Tensor, pose: Tensor, begun: Tensor, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """h in the axes of a frame whose pose (B, 3) in the axes of the map x is given -> the state after x, and where
        (B, 1, H, W) it was backed by history before x."""
        there = valid[:, None, None, None]
        carried, mask = self.warp(h, pose.masked_fill(~valid[:, None], 0.0))
        after = self.cell(self.reduce(x.masked_fill(~there, 0.0))[:, None], carried)
        return torch.where(there, after, h), mask & (begun & valid)[:, None, None, None]

    def _add(self, current: Tensor, h: Tensor, seen: Tensor) -> Tensor:
        return torch.where(seen, current + self.project(h.to(current.dtype)).to(current.dtype), current)

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``; ``dt`` is not read. Any number of frames."""
        h, at, begun = self.blank(bev), torch.zeros_like(pose[:, 0]), torch.zeros_like(valid[:, 0])
        here = torch.cat((pose[:, :-1], torch.zeros_like(pose[:, -1:])), 1)
        seen = torch.zeros_like(valid[:, :1, None, None])
        for t in range(valid.shape[1]):
            h, seen = self._read(h, relative_to(here[:, t], at), begun, bev[:, t], valid[:, t])
            at = torch.where(valid[:, t, None], here[:, t], at)
            begun = begun | valid[:, t]
        return self._add(bev[:, -1], h, seen)

    def warp_history(
        self, bev: Tensor, pose: Tensor, valid: Tensor, grid: BevGrid | None = None
    ) -> tuple[Tensor, Tensor]:
        """See ``TemporalFusion``: here each frame goes through all later valid ones, as what the state holds of it."""
        grid = grid or self.grid
        here = torch.cat((pose[:, :-1], torch.zeros_like(pose[:, -1:])), 1)
        there = valid[:, :, None, None, None]
        maps = torch.cat((bev[:, :-1].masked_fill(~there[:, :-1], 0.0), bev[:, -1:]), 1)
        mask = there.expand(-1, -1, 1, *grid.shape)
        for t in range(1, valid.shape[1]):
            at = here[:, :t].clone()  # every earlier frame stands at the last valid one before t, or at its own place
            for i in range(1, t):
                at[:, :i] = torch.where(valid[:, i, None, None], here[:, i : i + 1], at[:, :i])
            step = relative_to(here[:, t : t + 1], at).masked_fill(~valid[:, :t, None], 0.0).flatten(0, 1)
            moved, covered = self.warp(maps[:, :t].flatten(0, 1), step, grid)
            kept = self.warp(mask[:, :t].flatten(0, 1).to(maps.dtype), step, grid)[0] > 0.999
            moves = there[:, t : t + 1]
            new_mask = (covered & kept).unflatten(0, (len(bev), t))
            new_maps = moved.unflatten(0, (len(bev), t)) * new_mask
            maps = torch.cat((torch.where(moves, new_maps, maps[:, :t]), maps[:, t:]), 1)
            mask = torch.cat((torch.where(moves, new_mask, mask[:, :t]), mask[:, t:]), 1)
        return maps, mask

    def initial_state(  # type: ignore[override]  # a state of its own kind
        self, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> CarriedState:
        """Before the first frame of ``batch`` drives."""
        maps = torch.zeros(batch, 1, *self.grid.shape, device=device, dtype=dtype)
        pose = torch.zeros(batch, 3, device=device, dtype=torch.float64)
        return CarriedState(self.blank(maps), pose, torch.zeros(batch, device=device, dtype=torch.bool))

    def step(  # type: ignore[override]
        self, state: CarriedState, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor
    ) -> tuple[Tensor, CarriedState]:
        """See ``TemporalFusion.step``; constant cost, however long the drive."""
        moved = compose(pose.double(), state.pose)
        wide = torch.promote_types(bev.dtype, torch.float32)
        h, seen = self._read(state.h, moved.to(wide), state.begun, bev, valid)
        stands = torch.where(valid[:, None], torch.zeros_like(moved), moved)
        return self._add(bev, h, seen), CarriedState(h, stands, state.begun | valid)
