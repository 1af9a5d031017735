"""The frames of a window, their poses and their times: oldest first, the current frame last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.navsim.schema import Frame, Scene


def reach(num_frames: int, frame_stride: int = 1) -> int:
    """Frames of the log that a window spans, the current one included."""
    return (num_frames - 1) * frame_stride + 1


def window_frames(scene: Scene, num_frames: int, frame_stride: int = 1) -> list[Frame | None]:
    """``num_frames`` frames ending with the current one, every ``frame_stride``-th; None where the log has a gap
    or begins later, and where a frame has a defect. Once a frame is missing, so are all older ones."""
    frames = replace(scene, num_history=reach(num_frames, frame_stride)).history
    for age in range(1, len(frames)):  # the current frame is whole: scenes with a defect are left out of a split
        past = frames[-1 - age]
        if past is None:
            break
        if past.defect is not None:
            frames[: len(frames) - age] = [None] * (len(frames) - age)
            break
    return frames[::frame_stride]


def require_history(scenes: Sequence[Scene], num_frames: int, frame_stride: int, split: str) -> None:
    """UserError when the log of not one scene reaches back as far as a window: such a history could not be learnt."""
    longest = 0
    for scene in scenes:  # the first whole window ends the search
        longest = max(longest, sum(frame is not None for frame in window_frames(scene, num_frames, frame_stride)))
        if longest == num_frames:
            return
    raise UserError(
        f"fusion.num_frames is {num_frames} (fusion.frame_stride {frame_stride}), but no scene of {split} has more "
        f"than {longest} such frames without a gap in its log: set fusion.num_frames={max(longest, 1)} or less stride"
    )


MOTION = np.dtype([("pose", "<f4", (3,)), ("dt", "<f4"), ("timestamp_us", "<i8"), ("speed", "<f4")])
"""Of one frame of a window: x, y (m), heading (rad) in the current frame · seconds before it, at least 0 · the log's
own time, microseconds · norm of the ego's velocity, m/s."""


def window_motion(frames: list[Frame | None]) -> np.ndarray:
    """(T,) of ``MOTION``, zeros where a frame is missing. Relative poses are computed in float64 from UTM poses and
    only then cast."""
    current = frames[-1]
    assert current is not None
    motion = np.zeros(len(frames), MOTION)
    for i, frame in enumerate(frames):
        if frame is not None:
            pose = relative_to(current.pose, frame.pose)
            dt = (current.timestamp_us - frame.timestamp_us) * 1e-6
            motion[i] = (pose, dt, frame.timestamp_us, np.hypot(*frame.velocity))
    return motion
