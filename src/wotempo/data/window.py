"""The frames of a window, their poses and their times: oldest first, the current frame last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.navsim.index.columns import NONE, columns_of, runs_of
from wotempo.navsim.scenes import by_log
from wotempo.navsim.schema import MAX_GAP_S, Frame, Log, Scene

MISSING = -1  # place of a frame that a window lacks


def reach(num_frames: int, frame_stride: int = 1) -> int:
    """Frames of the log that a window spans, the current one included."""
    return (num_frames - 1) * frame_stride + 1


def window_places(log: Log, current: np.ndarray, num_frames: int, frame_stride: int = 1) -> np.ndarray:
    """Places in ``log.frames`` (n, num_frames) of the windows that end with the frames ``current`` (n,), every
    ``frame_stride``-th; MISSING where the log has a gap or begins later, and where a frame has a defect. Once a frame
    is missing, so are all older ones."""
    rows = columns_of(log).rows
    places = np.arange(len(rows))
    last_defect = np.maximum.accumulate(np.where(rows["defect"] == NONE, -1, places))
    # The current frame is whole: scenes with a defect are left out of a split.
    clean = places - np.r_[-1, last_defect[:-1]] - 1
    longest = np.minimum(runs_of(rows, MAX_GAP_S).before, clean)[current]
    ages = np.arange(reach(num_frames, frame_stride) - 1, -1, -frame_stride)
    return np.where(ages <= longest[:, None], current[:, None] - ages, MISSING)


def all_places(scenes: Sequence[Scene], num_frames: int, frame_stride: int) -> np.ndarray:
    """``window_places`` of all scenes, (n, num_frames), each in its own log."""
    found = [window_places(log, current, num_frames, frame_stride) for log, _, current in by_log(scenes)]
    return np.concatenate([np.zeros((0, num_frames), np.int64), *found])


def window_frames(scene: Scene, num_frames: int, frame_stride: int = 1) -> list[Frame | None]:
    """The ``window_places`` of one scene as frames; None where one is missing."""
    frames = scene.log.frames
    places = window_places(scene.log, np.array([scene.index]), num_frames, frame_stride)[0].tolist()
    return [None if place == MISSING else frames[place] for place in places]


def fallen(windows: np.ndarray, lost: np.ndarray, masked: bool) -> np.ndarray:
    """(n,) bool: windows that are left out where frames cannot be had. ``windows`` (n, T): positions in ``lost`` (m,)
    bool, or MISSING. ``masked``: a lost history frame costs no window."""
    needed = windows[:, -1:] if masked else windows
    return np.append(lost, False)[needed].any(1)


def require_history(scenes: Sequence[Scene], num_frames: int, frame_stride: int, split: str) -> None:
    """UserError when the log of not one scene reaches back as far as a window: such a history could not be learnt."""
    longest = 0
    for log, _, current in by_log(scenes):  # the first whole window ends the search
        places = window_places(log, current, num_frames, frame_stride)
        longest = max(longest, int((places != MISSING).sum(1).max()))
        if longest == num_frames:
            return
    raise UserError(
        f"fusion.num_frames is {num_frames} (fusion.frame_stride {frame_stride}), but no scene of {split} has more "
        f"than {longest} such frames without a gap in its log: set fusion.num_frames={max(longest, 1)} or less stride"
    )


MOTION = np.dtype([("pose", "<f4", (3,)), ("dt", "<f4"), ("timestamp_us", "<i8"), ("speed", "<f4")])
"""Of one frame of a window: x, y (m), heading (rad) in the current frame · seconds before it, at least 0 · the log's
own time, microseconds · norm of the ego's velocity, m/s."""


def window_motion(log: Log, places: np.ndarray) -> np.ndarray:
    """Windows of a log, ``places`` (n, T) -> (n, T) of ``MOTION``, zeros where a frame is missing. Relative poses are
    computed in float64 from UTM poses and only then cast."""
    rows = columns_of(log).rows
    frames, current = rows[places], rows[places[:, -1:]]
    motion = np.zeros(places.shape, MOTION)
    motion["pose"] = relative_to(current["pose"], frames["pose"])
    motion["dt"] = (current["timestamp_us"] - frames["timestamp_us"]) * 1e-6
    motion["timestamp_us"] = frames["timestamp_us"]
    motion["speed"] = np.hypot(frames["velocity"][..., 0], frames["velocity"][..., 1])
    motion[places == MISSING] = np.zeros((), MOTION)
    return motion
