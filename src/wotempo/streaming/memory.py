"""The memory of the fusion stage for streams whose frames come more often than its windows take them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wotempo.fusion import RingBuffer, TemporalFusion
from wotempo.geometry import compose
from wotempo.streaming.state import restart_rows, state_tensors, state_with


@dataclass(frozen=True)
class StreamMemory:
    """A stage of ``frame_stride`` k sees every k-th frame: k interleaved streams, of which each push continues one.

    ``phases``: k states of the stage, the one that waits longest first. ``pose`` (k-1, S, 3) float64: the newest frame
    of each phase but the last in the axes of the last push, which continued the last; ``dt`` (k-1, S) float64: seconds
    since it.
    """

    phases: tuple[Any, ...]
    pose: Tensor
    dt: Tensor

    @classmethod
    def start(cls, stage: TemporalFusion, streams: int, device: torch.device, dtype: torch.dtype) -> StreamMemory:
        k = stage.frame_stride
        return cls(
            tuple(stage.initial_state(streams, device, dtype) for _ in range(k)),
            torch.zeros(k - 1, streams, 3, device=device, dtype=torch.float64),
            torch.zeros(k - 1, streams, device=device, dtype=torch.float64),
        )

    def step(
        self,
        stage: TemporalFusion,
        bev: Tensor,
        pose: Tensor,
        dt: Tensor,
        valid: Tensor,
        kept: Tensor | None = None,
    ) -> tuple[Tensor, StreamMemory]:
        """``TemporalFusion.step`` of the phase whose turn it is; pose and dt count from the push before this one.
        ``kept`` (S, C, H, W): what is remembered instead of ``bev``, if anything."""
        pose, dt = pose.double()[None], dt.double()[None]
        moved, age = torch.cat((compose(pose, self.pose), pose)), torch.cat((self.dt + dt, dt))
        before = self.phases[0]
        fused, state = stage.step(before, bev, moved[0], age[0], valid)
        if kept is not None and isinstance(state, RingBuffer):
            state = replace(state, bev=torch.cat((state.bev[:, :-1], kept[:, None]), 1))
        elif kept is not None:
            state = stage.step(before, kept, moved[0], age[0], valid)[1]
        return fused, StreamMemory((*self.phases[1:], state), moved[1:], age[1:])

    def restarted(self, fresh: StreamMemory, rows: Tensor) -> StreamMemory:
        """The same with the streams of ``rows`` (S,) bool as in ``fresh``."""
        phases = tuple(restart_rows(old, new, rows) for old, new in zip(self.phases, fresh.phases, strict=True))
        return replace(
            self, phases=phases, pose=self.pose.masked_fill(rows[:, None], 0.0), dt=self.dt.masked_fill(rows, 0.0)
        )

    def tensors(self) -> dict[str, Tensor]:
        """Dotted name -> tensor."""
        found = {"pose": self.pose, "dt": self.dt}
        for i, phase in enumerate(self.phases):
            found |= state_tensors(phase, f"{i}.")
        return found

    def with_tensors(self, tensors: dict[str, Tensor]) -> StreamMemory:
        """The same holding those of ``tensors``."""
        phases = tuple(state_with(phase, tensors, f"{i}.") for i, phase in enumerate(self.phases))
        return StreamMemory(phases, tensors["pose"], tensors["dt"])
