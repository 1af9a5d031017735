"""Pairs of twins beside the logs of a micro town: windows of a log told twice, with one current frame.

The second member of a pair has another history (the sensor files of other frames) and another future: a vehicle that
nobody sees now stands in the ego's way half a second later. Of ``KINDS[1]`` it stands far away, and changes nothing.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from wotempo.geometry import relative_to
from wotempo.navsim.dataset import SplitLogs, read_splits, write_splits
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import NUM_FUTURE, Boxes, Frame
from wotempo.navsim.text_files import parse_json
from wotempo.navsim.twins import TOWN, Pair, Twins, write_twins

KINDS = ("crossing", "elsewhere")
BEFORE = 6  # frames before the current one: four of them in the window, two as sources of another history
STANDS_AT = 6  # poses ahead of the ego, half a second each: there the vehicle stands
NUM_FRAMES = 4


def add_twins(root: Path, split: str, count: int) -> tuple[Pair, ...]:
    """``count`` pairs of the first log of ``split`` ("val" or "test") of the town in ``root``, as logs of their own.
    Their districts are made up, three of them."""
    splits = read_splits(root)
    folder, names = splits[split].split, splits[split].logs
    log = read_log(root / "navsim_logs" / folder / f"{names[0]}.pkl", folder)
    places = [BEFORE + k % (len(log.frames) - NUM_FUTURE - BEFORE) for k in range(count)]
    pairs, new = [], []
    for number, place in enumerate(places):
        kind, tokens = KINDS[number % 2], []
        for member in range(2):
            name = f"2021.12.{24 + (split == 'test')}.00.{number:02}.0{member}_veh-9{member}_00000_00012"
            frames = [
                _told(frame, name, root / "sensor_blobs" / folder, log.frames[_seen(place, place - 4 + k, member)])
                for k, frame in enumerate(log.frames[place - 4 : place + NUM_FUTURE + 1])
            ]
            if member:
                ahead = log.frames[place + STANDS_AT].pose + np.array([0.0, 200.0 * (kind == KINDS[1]), 0.0])
                frames[5:] = [_with_vehicle(frame, ahead) for frame in frames[5:]]
            write_log(root / "navsim_logs" / folder / f"{name}.pkl", frames)
            tokens.append(frames[4].token)
            new.append(name)
        agents = ((), ("stranger",))
        pairs.append(Pair(f"{split} {number}", kind, split, number % 3, (tokens[0], tokens[1]), agents))
    write_splits(root, {**splits, split: SplitLogs(folder, (*names, *new))})
    return tuple(pairs)


def twin_workspace(source: Path, target: Path, counts: dict[str, int]) -> Path:
    """A copy of a workspace with a micro town, to which ``counts`` pairs were added by split, and ``twins.json``."""
    shutil.copytree(source, target)
    (root,) = target.glob("town-micro-*")
    pairs = tuple(pair for split, count in counts.items() for pair in add_twins(root, split, count))
    write_twins(root, Twins(parse_json((root / TOWN).read_bytes())["fingerprint"], NUM_FRAMES, pairs))
    return target


def _seen(place: int, frame: int, member: int) -> int:
    """Whose sensor files a frame shows: its own, but for the history of the second member."""
    return frame - 2 if member and frame < place else frame


def _told(frame: Frame, log: str, blobs: Path, shown: Frame) -> Frame:
    """The frame under another name, with copies of what ``shown`` sees."""

    def copied(file: str) -> str:
        own = blobs / log / Path(file).relative_to(Path(file).parts[0])
        if (blobs / file).exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            if not own.exists():
                shutil.copy(blobs / file, own)
        return str(own.relative_to(blobs))

    token = blake2b(f"{log}/{frame.token}".encode(), digest_size=8).hexdigest()
    cameras = {name: replace(camera, path=copied(shown.cameras[name].path)) for name, camera in frame.cameras.items()}
    return replace(frame, token=token, log_name=log, cameras=cameras, lidar_path=copied(shown.lidar_path))


def _with_vehicle(frame: Frame, pose: np.ndarray) -> Frame:
    boxes = frame.boxes
    assert boxes is not None
    x, y, heading = relative_to(frame.pose, pose)
    added = Boxes(
        np.concatenate((boxes.boxes, [[x, y, 0.5, 4.5, 2.0, 1.5, heading]])),
        np.array([*boxes.names, "vehicle"]),
        np.concatenate((boxes.velocity, np.zeros((1, 3)))),
        [*boxes.instance_tokens, f"stranger {frame.token}"],
        [*boxes.track_tokens, "stranger"],
    )
    return replace(frame, boxes=added)
