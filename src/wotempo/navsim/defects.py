"""Defects of single frames of a log: found once, when the log is read, and kept with the frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from wotempo.navsim.schema import AGENT_NAMES, STATIC_NAMES, Boxes, Defect, Frame, Log

Calibrations = dict[tuple[bytes, ...], tuple[np.ndarray, ...]]  # rotation, translation, intrinsics, distortion

# Beyond these a value is no measurement. Absolute values, in metres, rad and seconds.
FARTHEST = 1e8  # UTM reaches 1e7
FASTEST, HARDEST = 200.0, 1000.0
BOX_LIMITS = np.array([1e4, 1e4, 1e4, 100.0, 100.0, 100.0, 100.0])  # centre, size, heading
ABOUT_ONE = 1e-3

# The names of classes as numbers, two letters each: a log has a hundred thousand names, and no two names of classes
# begin alike.
_CLASS_NAMES = sorted(AGENT_NAMES + STATIC_NAMES)
_LONGEST = f"U{max(map(len, _CLASS_NAMES)) + 1 & ~1}"
_CLASSES = np.array(_CLASS_NAMES, _LONGEST).view(np.uint64).reshape(len(_CLASS_NAMES), -1)
_CLASSES = _CLASSES[_CLASSES[:, 0].argsort()]

Fault = tuple[int, str, str]  # row of the frame, cause, what names it further


class Ego(NamedTuple):
    """The motion of the car in the F frames of a log, as ``Frame`` says it."""

    pose: np.ndarray  # (F, 3)
    height: np.ndarray  # (F,)
    rotation: np.ndarray  # (F, 4) w, x, y, z
    velocity: np.ndarray  # (F, 2)
    acceleration: np.ndarray  # (F, 2)
    command: np.ndarray  # (F, 4) int64; -1 where the file holds neither 0 nor 1


def marked(log: Log, ego: Ego, calibrations: Calibrations) -> Log:
    """The log with a ``defect`` in each frame that has one.

    Velocities of boxes that are NaN are set to 0 and counted: not known, as of an object that was seen once.
    ``calibrations``: those of all cameras. Boxes of unknown classes become None.
    """
    _drop_unknown_classes(log)
    held = [(row, frame.boxes) for row, frame in enumerate(log.frames) if frame.boxes is not None]
    boxes, velocity = np.zeros((0, 7)), np.zeros((0, 3))
    if held:
        boxes = np.concatenate([of_frame.boxes for _, of_frame in held])
        velocity = np.concatenate([of_frame.velocity for _, of_frame in held])
    whole = not len(boxes) or _are_whole(boxes, velocity)
    found: dict[int, Defect] = {}
    for row, cause, more in (
        *_ego_faults(ego),
        *_calibration_faults(log.frames, calibrations),
        *(() if whole else _box_faults(held, boxes, velocity)),
    ):
        where = f"log {log.name}, frame {row} ({log.frames[row].token}), {more}"
        found.setdefault(row, Defect(cause, where))
    for row, defect in found.items():
        if log.frames[row].defect is None:
            log.frames[row] = replace(log.frames[row], defect=defect)
    unknown = 0 if whole else _settle_velocities([of_frame.velocity for _, of_frame in held])
    return replace(log, unknown_velocities=unknown)


def _drop_unknown_classes(log: Log) -> None:
    names = [frame.boxes.names for frame in log.frames if frame.boxes is not None]
    if not names or _are_classes(np.concatenate(names)):
        return
    for row, frame in enumerate(log.frames):
        if frame.boxes is not None and (unknown := set(frame.boxes.names.tolist()).difference(_CLASS_NAMES)):
            cause = f"its boxes are malformed (unknown class {min(unknown)!r} in gt_names)"
            defect = frame.defect or Defect(cause, f"log {log.name}, frame {row} ({frame.token})")
            log.frames[row] = replace(frame, boxes=None, defect=defect)


def _are_classes(names: np.ndarray) -> bool:
    """Whether all of the names (N,) are those of classes; False if a name is longer, too."""
    if names.dtype.itemsize > np.dtype(_LONGEST).itemsize:
        return False
    letters = names.astype(_LONGEST).view(np.uint64).reshape(-1, _CLASSES.shape[1])
    place = _CLASSES[1:, 0].searchsorted(letters[:, 0], "right")
    return bool((letters == _CLASSES.take(place, 0)).all())


def _ego_faults(ego: Ego) -> Iterator[Fault]:
    pose, _, rotations, velocity, acceleration, command = ego
    length = np.einsum("fi,fi->f", rotations, rotations)
    for cause, values, bad in (
        ("its pose (x, y, heading) is not finite", pose, ~(abs(pose) <= FARTHEST)),
        ("its rotation is no unit quaternion", rotations, ~(abs(length - 1) <= ABOUT_ONE)),
        ("its velocity is not finite, or none of a car", velocity, ~(abs(velocity) <= FASTEST)),
        ("its acceleration is not finite, or none of a car", acceleration, ~(abs(acceleration) <= HARDEST)),
        ("its driving command is not one of four", command, (command < 0).any(1) | (command.sum(1) != 1)),
    ):
        for row in np.unique(np.nonzero(bad)[0]).tolist() if bad.any() else ():
            yield row, cause, str((values[row] + 0.0).tolist())


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


def _are_whole(boxes: np.ndarray, velocity: np.ndarray) -> bool:
    """Whether no value is at fault or not known: the common case, which one look at the extremes decides."""
    columns = np.ascontiguousarray(boxes.T)  # along rows of seven it takes ten times as long
    low, high = columns.min(1), columns.max(1)  # NaN where one value is
    sane = (low >= -BOX_LIMITS).all() and (high <= BOX_LIMITS).all() and (low[3:6] > 0).all()
    return bool(sane and velocity.min() >= -FASTEST and velocity.max() <= FASTEST)


def _box_faults(held: list[tuple[int, Boxes]], boxes: np.ndarray, velocity: np.ndarray) -> Iterator[Fault]:
    """``boxes`` and ``velocity``: those of all frames, one below the other."""
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
    count = 0
    for velocity in velocities:
        unknown = np.isnan(velocity[:, :2]).any(1)
        velocity[unknown] = 0.0
        velocity[np.isnan(velocity)] = 0.0  # upwards: nothing is made of it
        count += int(unknown.sum())
    return count
