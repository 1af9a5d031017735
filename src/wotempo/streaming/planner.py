"""Driving: one frame in, one trajectory out, at the cost of one frame."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wotempo.errors import UserError
from wotempo.planners.backbone.frames import unit_range
from wotempo.planners.base import Planner
from wotempo.streaming.clock import StreamClock, StreamLimits, StreamMotion
from wotempo.streaming.frames import Plans, StreamFrames, check_frames
from wotempo.streaming.memory import StreamMemory


class StreamingPlanner:
    """S independent streams through one model.

    ``push`` encodes the new frame only; what earlier frames left behind lies in the fusion stage's own state
    (``initial_state`` and ``step``: a ring buffer, or a recurrent state where the stage is built so), whose size is
    constant. Through a ring buffer a plan is the windowed model's, bit for bit, if that encodes its frames one by one.

    Push at the rate of the logs that the model was trained on (a stage of ``frame_stride`` k picks every k-th frame by
    itself and keeps k states), and a dropped frame too: it takes a slot of the window, invalid there, its pose and
    pixels unread. A stream whose frame does not continue it (``StreamLimits``) is emptied before the frame is used, and
    ``Plans.resets`` says why. Bad input is a UserError and changes nothing.

    Runs under ``no_grad`` and keeps no graph; works inside ``inference_mode`` and autocast, too.
    """

    def __init__(
        self, model: Planner, streams: int = 1, max_gap_s: float = 0.55, max_slip_m: float | None = None
    ) -> None:
        """``model`` in eval mode. ``max_gap_s``: the default is the data's (``Scene.max_gap_s``) at 2 Hz.
        ``max_slip_m``: by default half a BEV cell, below which a misplaced map still covers its own cells."""
        if streams < 1:
            raise UserError(f"streams is {streams}: set it to 1 or more")
        _require_eval(model)
        if model.fusion.level != "bev8":
            raise UserError(f"the fusion stage sits at level '{model.fusion.level}': streams need one at level 'bev8'")
        if model.needs.motion:
            raise UserError("fusion.control is an oracle, which looks into the annotations: it cannot drive")
        grid = model.config.bev_grid
        self.model = model
        self.streams = streams
        self.limits = StreamLimits(max_gap_s, max(grid.cell_x, grid.cell_y) / 2 if max_slip_m is None else max_slip_m)
        self._clock = StreamClock.start(streams)
        self._dtype: torch.dtype | None = None  # of the maps, known with the first one: autocast decides it
        self._state: StreamMemory | None = None  # of the fusion stage; None before the first map

    @property
    def device(self) -> torch.device:
        return self.model.device

    # ---- driving

    @torch.no_grad()
    def push(self, frames: StreamFrames) -> Plans:
        """The next frame of every stream -> what to drive."""
        _require_eval(self.model)
        check_frames(frames, self.model.config, self.streams)
        clock, motion = self._clock.advance(frames, self.limits)
        present = frames.present.to(self.device)
        rows = frames.present.nonzero()[:, 0]
        shape = (self.streams, self.model.config.num_poses, 3)
        trajectory = torch.full(shape, float("nan"), dtype=self.model.dtype, device=self.device)
        maps, kept = self._maps(frames, rows)
        state = self._state
        if maps is not None:
            fused, state = self._fuse(maps, kept, state, motion, present)
            if len(rows):
                plan = self.model.select(fused[rows.to(self.device)], frames.status[rows].to(self.device))
                trajectory[rows.to(self.device)] = plan["trajectory"].to(trajectory.dtype)
            self._dtype = maps.dtype
        self._clock, self._state = clock, state
        return Plans(trajectory, present, motion.resets)

    def _maps(self, frames: StreamFrames, rows: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(S, C, rows, cols), zeros for dropped frames, of the frame as the current one and as what later frames will
        see of it, if that is another map (``history_sensors``). None as long as no stream has ever brought one."""
        model, dtype = self.model, self.model.dtype
        if len(rows):
            camera = unit_range(frames.camera[rows].to(self.device), 255, dtype, "camera")
            lidar = unit_range(frames.lidar[rows].to(self.device), model.config.lidar_max, dtype, "lidar")
            twice = model.config.history_sensors == "lidar" and model.fusion.num_frames > 1
            maps = model.encode(camera, torch.cat((lidar, lidar)) if twice else lidar)
            now, *later = (self._of_all(part, rows) for part in maps.split(len(rows)))
            return now, later[0] if later else None
        if self._dtype is None:
            return None, None
        shape = (self.streams, model.fusion.channels, *model.fusion.grid.shape)
        return torch.zeros(shape, device=self.device, dtype=self._dtype), None

    def _of_all(self, maps: Tensor, rows: Tensor) -> Tensor:
        """Maps of the streams ``rows`` -> of all, zeros for the others."""
        if len(rows) == self.streams:
            return maps
        return maps.new_zeros(self.streams, *maps.shape[1:]).index_copy(0, rows.to(self.device), maps)

    def _fresh(self, dtype: torch.dtype) -> StreamMemory:
        return StreamMemory.start(self.model.fusion, self.streams, self.device, dtype)

    def _fuse(
        self, maps: Tensor, kept: Tensor | None, state: StreamMemory | None, motion: StreamMotion, present: Tensor
    ) -> tuple[Tensor, StreamMemory]:
        """``kept``: what the state shall remember instead of ``maps``, if anything."""
        stage = self.model.fusion
        lost = [reason is not None for reason in motion.resets]
        if state is None or any(lost):
            fresh = self._fresh(maps.dtype)
            state = fresh if state is None else state.restarted(fresh, torch.tensor(lost, device=self.device))
        pose, dt = (torch.from_numpy(value).to(self.device) for value in (motion.pose, motion.dt))
        return state.step(stage, maps, pose, dt, present, kept)

    def reset(self, stream: int | None = None) -> None:
        """Forget one stream, or all: its next frame is the first of another drive, at any time and place."""
        if stream is not None and not 0 <= stream < self.streams:
            raise UserError(f"there is no stream {stream}, this planner has {self.streams}: count from 0")
        rows = np.arange(self.streams) == stream if stream is not None else np.ones(self.streams, bool)
        self._clock = self._clock.restarted(rows)
        if self._state is not None and self._dtype is not None:
            self._state = self._state.restarted(self._fresh(self._dtype), torch.from_numpy(rows).to(self.device))

    # ---- keeping

    def state_dict(self) -> dict[str, Any]:
        """Everything ``push`` remembers, as plain data (``torch.load(weights_only=True)``). Without the weights: it
        means something to the same weights only."""
        fusion = {} if self._state is None else self._state.tensors()
        return {
            "fits": self._fits(),
            "dtype": str(self._dtype).removeprefix("torch."),
            "clock": {field.name: torch.from_numpy(getattr(self._clock, field.name)) for field in fields(StreamClock)},
            # Cloned: a ring buffer is a view of the window it was cut from.
            "fusion": {name: tensor.clone() for name, tensor in fusion.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken. UserError naming what differs if that was another kind of planner."""
        for name, ours in self._fits().items():
            if (theirs := state.get("fits", {}).get(name)) != ours:
                raise UserError(
                    f"the stored stream has {name} = {theirs}, this planner {ours}: build the planner as it was stored"
                )
        clock = StreamClock(**{name: tensor.cpu().numpy().copy() for name, tensor in state["clock"].items()})
        dtype, memory = None, None
        if state["fusion"]:
            dtype = getattr(torch, state["dtype"])
            memory = self._fresh(dtype)
            stored = {name: tensor.to(self.device, copy=True) for name, tensor in state["fusion"].items()}
            theirs, ours = ({k: tuple(v.shape) for k, v in of.items()} for of in (stored, memory.tensors()))
            if theirs != ours:
                raise UserError(f"the stored stream holds {theirs}, the fusion stage {ours}: build it as it was stored")
            memory = memory.with_tensors(stored)
        self._clock, self._dtype, self._state = clock, dtype, memory

    def _fits(self) -> dict[str, Any]:
        stage = self.model.fusion
        return {
            "stage": type(stage).__name__,
            "num_frames": stage.num_frames,
            "frame_stride": stage.frame_stride,
            "channels": stage.channels,
            "grid": list(astuple(stage.grid)),
            "history_sensors": self.model.config.history_sensors,
            "streams": self.streams,
        }


def _require_eval(model: Planner) -> None:
    if any(module.training for module in model.modules()):
        name = next(name for name, module in model.named_modules() if module.training)
        raise UserError(f"module '{name or 'model'}' is in training mode: call model.eval() before driving")
