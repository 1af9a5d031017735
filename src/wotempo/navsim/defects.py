"""Defects of single frames of a log: found once, when the log is read, and kept with the frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from wotempo.navsim.schema import Boxes, Defect, Frame, Log

Calibrations = dict[tuple[bytes, ...], tuple[np.ndarray, ...]]  # rotation, translation, intrinsics, distortion

# Beyond these a value is no measurement. Absolute values, in metres, rad and seconds.
FARTHEST = 1e8  # UTM reaches 1e7
FASTEST, HARDEST = 200.0, 1000.0
BOX_LIMITS = np.array([1e4, 1e4, 1e4, 100.0, 100.0, 100.0, 100.0])  # centre, size, heading
ABOUT_ONE = 1e-3


Fault = tuple[int, str, str]  # row of the frame, cause, what names it further


def marked(log: Log, rotations: np.ndarray, calibrations: Calibrations) -> Log:
    """The log with a ``defect`` in each frame that has one.

    Velocities of boxes that are NaN are set to 0 and counted: not known, as of an object that was seen once.
    ``rotations`` (F, 4): the quaternions of the poses; ``calibrations``: those of all cameras.
    """
    held = [(row, frame.boxes) for row, frame in enumerate(log.frames) if frame.boxes is not None]
    found: dict[int, Defect] = {}
    for row, cause, more in (
        *_ego_faults(log.frames, rotations),
        *_calibration_faults(log.frames, calibrations),
        *_box_faults(held),
    ):
        where = f"log {log.name}, frame {row} ({log.frames[row].token}), {more}"
        found.setdefault(row, Defect(cause, where))
    for row, defect in found.items():
        if log.frames[row].defect is None:
            log.frames[row] = replace(log.frames[row], defect=defect)
    return replace(log, unknown_velocities=_settle_velocities([boxes.velocity for _, boxes in held]))


def _ego_faults(frames: list[Frame], rotations: np.ndarray) -> Iterator[Fault]:
    columns = np.concatenate([part for f in frames for part in (f.pose, f.velocity, f.acceleration, f.command)])
    pose, velocity, acceleration, command = np.split(columns.reshape(len(frames), -1), (3, 5, 7), axis=1)
    for cause, values, bad in (
        ("its pose (x, y, heading) is not finite", pose, ~(abs(pose) <= FARTHEST)),
        ("its rotation is no unit quaternion", rotations, ~(abs((rotations * rotations).sum(1) - 1) <= ABOUT_ONE)),
        ("its velocity is not finite, or none of a car", velocity, ~(abs(velocity) <= FASTEST)),
        ("its acceleration is not finite, or none of a car", acceleration, ~(abs(acceleration) <= HARDEST)),
        ("its driving command is not one of four", command, (command.min(1) < 0) | (command.sum(1) != 1)),
    ):
        if bad.any():
            for row in np.unique(np.nonzero(bad)[0]).tolist():
                yield row, cause, str(values[row].tolist())


def _calibration_faults(frames: list[Frame], calibrations: Calibrations) -> Iterator[Fault]:
    if not calibrations:
        return
    rotation, *others = (np.stack(parts) for parts in zip(*calibrations.values(), strict=True))
    focal = others[1][:, [0, 1], [0, 1]]
    apart = abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
    good = (apart <= ABOUT_ONE) & (focal > 0).all(1)
    for part in others:
        good &= np.isfinite(part.reshape(len(part), -1)).all(1)
    bad = {id(arrays[0]) for arrays, fine in zip(calibrations.values(), good, strict=True) if not fine}
    for row, frame in enumerate(frames if bad else ()):
        for name, camera in frame.cameras.items():
            if id(camera.rotation) in bad:
                yield row, "the calibration of a camera is not finite, or none of a camera", name


def _box_faults(held: list[tuple[int, Boxes]]) -> Iterator[Fault]:
    if not held:
        return
    boxes = np.concatenate([of_frame.boxes for _, of_frame in held])
    velocity = np.concatenate([of_frame.velocity for _, of_frame in held])
    for cause, bad in (
        ("the centre, size or heading of a box is not finite, or none of an object", ~(abs(boxes) <= BOX_LIMITS)),
        ("a box has no size", boxes[:, 3:6] <= 0),
        ("the velocity of a box is infinite, or none of an object", abs(velocity) > FASTEST),
    ):
        if not bad.any():
            continue
        ends = np.cumsum([len(of_frame.boxes) for _, of_frame in held])
        for place in np.unique(np.nonzero(bad)[0]).tolist():
            at = int(np.searchsorted(ends, place, "right"))
            row, of_frame = held[at]
            index = place - int(ends[at]) + len(of_frame.boxes)
            values = [*of_frame.boxes[index].tolist(), *of_frame.velocity[index].tolist()]
            yield row, cause, f"track {of_frame.track_tokens[index]}, {values}"


def _settle_velocities(velocities: list[np.ndarray]) -> int:
    """Sets what is NaN to 0, in place -> how many objects that are."""
    if not velocities or not np.isnan(np.concatenate(velocities)).any():
        return 0
    count = 0
    for velocity in velocities:
        unknown = np.isnan(velocity[:, :2]).any(1)
        velocity[unknown] = 0.0
        velocity[np.isnan(velocity)] = 0.0  # upwards: nothing is made of it
        count += int(unknown.sum())
    return count
