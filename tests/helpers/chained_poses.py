"""The steps between the poses of a drive: what a stream is given, frame by frame."""

from __future__ import annotations

from wotempo.geometry import relative_to


def step_poses(pose):
    """Pose of each frame in its *successor's* frame, from poses in the current frame (geometry: recurrent chaining).

    (..., T, 3), oldest first, current last -> (..., T-1, 3); entry i is inverse(q_{i+1})∘q_i.
    """
    return relative_to(pose[..., 1:, :], pose[..., :-1, :])
