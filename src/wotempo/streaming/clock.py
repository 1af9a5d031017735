"""The clock of each stream: time and place of its latest frame, and whether the next one continues it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.streaming.frames import StreamFrames

VELOCITY = slice(4, 6)  # of the status vector


@dataclass(frozen=True)
class StreamLimits:
    """What a stream survives. ``max_gap_s``: between two pushes; a longer silence belongs to no window either.
    ``max_slip_m``: how far the distance between two seen frames may lie outside what their speeds allow, per push."""

    max_gap_s: float
    max_slip_m: float

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise UserError(f"{field.name} is {getattr(self, field.name)}: set it to more than 0")


@dataclass(frozen=True)
class StreamMotion:
    """From one push to the next, of S streams: what ``TemporalFusion.step`` asks for."""

    pose: np.ndarray  # (S, 3) float64: the previous frame in the new one; zeros where there is none or a frame dropped
    dt: np.ndarray  # (S,) float64 seconds
    resets: tuple[str | None, ...]


@dataclass(frozen=True)
class StreamClock:
    """Of S streams; ``advance`` gives the next one and leaves this one as it is.

    A dropped frame moves the time only: the stream stays at the pose of the last seen frame, and the next frame's
    motion is counted from there.
    """

    started: np.ndarray  # (S,) bool: something was pushed
    time_us: np.ndarray  # (S,) int64 of the last push
    seen: np.ndarray  # (S,) bool: a frame was seen since the last reset
    seen_us: np.ndarray  # (S,) int64 of the last seen frame
    pose: np.ndarray  # (S, 3) float64 global, of the last seen frame
    speed: np.ndarray  # (S,) float64 m/s, of the last seen frame
    pushes: np.ndarray  # (S,) int64 since the last seen frame

    @classmethod
    def start(cls, streams: int) -> StreamClock:
        def zeros(kind: type, *more: int) -> np.ndarray:
            return np.zeros((streams, *more), kind)

        return cls(
            zeros(bool), zeros(np.int64), zeros(bool), zeros(np.int64), zeros(float, 3), zeros(float), zeros(np.int64)
        )

    def restarted(self, rows: np.ndarray) -> StreamClock:
        """The same with the streams of ``rows`` (S,) bool as new."""
        return replace(self, started=self.started & ~rows, seen=self.seen & ~rows)

    def advance(self, frames: StreamFrames, limits: StreamLimits) -> tuple[StreamClock, StreamMotion]:
        """UserError where time does not advance, or where pose or status of a present frame are not finite."""
        time, pose = frames.timestamp_us.cpu().numpy(), frames.pose.cpu().numpy()
        present, status = frames.present.cpu().numpy(), frames.status.cpu().numpy()
        self._refuse(time, pose, status, present)
        gap_s = np.where(self.seen, (time - self.time_us) * 1e-6, 0.0)  # without a memory there is nothing to outlive
        speed = np.where(present, np.hypot(*status[:, VELOCITY].astype(float).T), self.speed)
        pushes = self.pushes + 1
        known = self.seen & present
        moved = np.where(known[:, None], pose - self.pose, 0.0)
        distance = np.hypot(moved[:, 0], moved[:, 1])
        elapsed = (time - self.seen_us) * 1e-6
        low, high = np.minimum(speed, self.speed) * elapsed, np.maximum(speed, self.speed) * elapsed
        slip = np.maximum(low - distance, distance - high)
        resets: list[str | None] = []
        for s in range(len(time)):
            reason = None
            if gap_s[s] > limits.max_gap_s:
                reason = f"{gap_s[s]:.3f} s since the last frame, more than max_gap_s = {limits.max_gap_s:g}"
            elif known[s] and slip[s] > limits.max_slip_m * pushes[s]:
                reason = (
                    f"the pose moved {distance[s]:.1f} m in {elapsed[s]:.3f} s, the speeds of the two frames "
                    f"({self.speed[s]:.1f} and {speed[s]:.1f} m/s) allow {low[s]:.1f} to {high[s]:.1f} m"
                )
            resets.append(reason)
        lost = np.array([reason is not None for reason in resets], bool)
        follows = known & ~lost
        motion = StreamMotion(
            np.where(follows[:, None], relative_to(np.where(follows[:, None], pose, 0.0), self.pose), 0.0),
            np.where(lost, 0.0, gap_s),
            tuple(resets),
        )
        clock = StreamClock(
            started=np.ones_like(self.started),
            time_us=time.copy(),
            seen=present | (self.seen & ~lost),
            seen_us=np.where(present, time, self.seen_us),
            pose=np.where(present[:, None], pose, self.pose),
            speed=speed,
            pushes=np.where(present, 0, pushes),
        )
        return clock, motion

    def _refuse(self, time: np.ndarray, pose: np.ndarray, status: np.ndarray, present: np.ndarray) -> None:
        for s in range(len(time)):
            if self.started[s] and time[s] <= self.time_us[s]:
                raise UserError(
                    f"stream {s}: timestamp_us {time[s]} does not come after the last one, {self.time_us[s]}: "
                    "push frames in the order of time, or reset the stream"
                )
            for name, value in (("pose", pose[s]), ("status", status[s])) if present[s] else ():
                if not np.isfinite(value).all():
                    raise UserError(
                        f"stream {s}: the frame of timestamp_us {time[s]} is present, but its {name} is "
                        f"{value.tolist()}: give finite values, or push it with present=False"
                    )
