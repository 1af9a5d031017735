"""Logs of navtrain's size, of metadata only, and caches that hold nothing.

Each log repeats drives of a generated town: 660 frames of 0.5 s, so many boxes a frame, 79 tokens of the filter. All
logs of a folder are copies of a few, in which the number of the log stands for a mark of five letters.
"""

from __future__ import annotations

import copy
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wotempo.data.build import PART_RECORDS
from wotempo.data.frame_cache import FrameCache, frames_of
from wotempo.data.store import Entry, GroupIndex, RecordStore
from wotempo.data.target_cache import TargetCache, scene_ref
from wotempo.navsim import Scene
from wotempo.navsim.files import Stamp
from wotempo.navsim.unpickle import load_pickle

FRAMES, TOKENS = 660, 79  # of one log of navtrain, on average
HISTORY = 3  # frames before the current one in a window
SEGMENT, NEIGHBOURS = 32, 6  # frames of a town's drive; tokens in a row: 1.5 distinct frames a token, as in navtrain
MARK = "@@@@@"
KINDS = 4  # of logs
STEP_US = 500_000


class ScaleLogs(NamedTuple):
    """What was written: names of the logs, and the tokens of each that the filter lists."""

    names: list[str]
    tokens: list[list[str]]
    log_bytes: int
    sensors: list[list[dict[str, str]]]  # of each token: the files of its window -> those of the town


def make_town(root: Path, workers: int) -> Path:
    """The smallest town whose drives are long enough."""
    from wotempo.city import PRESETS, build_city

    build_city(root, replace(PRESETS["micro"], frames=SEGMENT), workers)
    return root


def write_logs(root: Path, town: Path, count: int, boxes: int) -> ScaleLogs:
    """``count`` logs below ``root``, made from the training logs of ``town``, with its maps; and a scene filter and a
    log list for them, ``navtrain-<n>.yaml`` and ``split-<n>.yaml``."""
    drives = [load_pickle(file) for file in sorted((town / "navsim_logs" / "trainval").glob("*.pkl"))]
    drives = [drive for drive in drives if len(drive) >= SEGMENT]
    folder = root / "navsim_logs" / "trainval"
    folder.mkdir(parents=True, exist_ok=True)
    if not (root / "maps").exists():
        (root / "maps").symlink_to((town / "maps").resolve())
    starts = np.linspace(0, FRAMES // SEGMENT - 1, 14).astype(int) * SEGMENT + 5
    current = [int(start) + i for start in starts for i in range(NEIGHBOURS)][:TOKENS]
    kinds = [_kind(drives, 3 * k, boxes, np.random.default_rng(k)) for k in range(KINDS)]
    made = ScaleLogs([], [], len(kinds[0][1]), [])
    for i in range(count):
        name, content, tokens, sensors = kinds[i % KINDS]
        number = f"{i:05d}"
        made.names.append(name.replace(MARK, number))
        made.tokens.append([tokens[place].replace(MARK, number) for place in current])
        windows = [
            {k: v for of_frame in sensors[place - HISTORY : place + 1] for k, v in of_frame} for place in current
        ]
        made.sensors.append([{new.replace(MARK, number): old for new, old in window.items()} for window in windows])
        file = folder / f"{made.names[-1]}.pkl"
        if not file.exists():
            file.write_bytes(content.replace(MARK.encode(), number.encode()))
    return made


def _kind(drives: list[list[dict[str, Any]]], first: int, boxes: int, draw: np.random.Generator):
    """One log -> (name, pickle, tokens of its frames, files of each frame with those of the town)."""
    name, frames, sensors = f"2021.05.12.22.00.38_veh-35_{first:05d}_{MARK}", [], []
    for place in range(FRAMES):
        drive = drives[(first + place // SEGMENT) % len(drives)]
        frame = copy.deepcopy(drive[place % SEGMENT])
        before = [frame["lidar_path"], *(of["data_path"] for of in frame["cams"].values() if of)]
        token = MARK + "".join(f"{digit:x}" for digit in draw.integers(0, 16, 11))
        frame.update(token=token, frame_idx=place, timestamp=1_620_000_000_000_000 + STEP_US * place, log_name=name)
        frame.update(log_token=MARK + "0" * 11, scene_name=f"{name}-{place // SEGMENT}", sample_prev=None)
        frame.update(sample_next=None, lidar_path=f"{name}/MergedPointCloud/{token}.pcd")
        for camera, of_camera in frame["cams"].items():
            if of_camera:
                of_camera["data_path"] = f"{name}/{camera}/{token}.jpg"
        frame["anns"] = _filled(frame["anns"], boxes, draw)
        frames.append(frame)
        after = [frame["lidar_path"], *(of["data_path"] for of in frame["cams"].values() if of)]
        sensors.append([*zip(after, before, strict=True)])
    return name, pickle.dumps(frames, 4), [frame["token"] for frame in frames], sensors


def _filled(boxes: dict[str, Any], count: int, draw: np.random.Generator) -> dict[str, Any]:
    """The boxes of a frame, cut or filled up to ``count`` with barriers that stand beside the road."""
    kept = min(len(boxes["gt_names"]), count)
    more = np.zeros((count - kept, 7))
    more[:, 1] = 60 + 40 * draw.random(count - kept)
    more[:, 3:6] = (0.6, 0.6, 1.5)
    names = np.concatenate((np.array(boxes["gt_names"][:kept], "<U14"), np.full(count - kept, "barrier", "<U14")))
    velocity = np.concatenate((boxes["gt_velocity_3d"][:kept], np.zeros((count - kept, 3))))
    return {
        "gt_boxes": np.concatenate((boxes["gt_boxes"][:kept], more)),
        "gt_names": names,
        "gt_velocity_3d": velocity,
        "instance_tokens": [f"{MARK}{i:011d}" for i in range(count)],
        # New texts in every frame, as a database gives them: equal ones are not shared in the pickle.
        "track_tokens": ["".join((MARK, f"{i:011d}")) for i in range(count)],
    }


def link_sensors(root: Path, town: Path, made: ScaleLogs, count: int, tokens: int) -> None:
    """Sensor files for the windows of the first ``tokens`` of each of ``count`` logs: links to those of the town."""
    ours, theirs = (folder / "sensor_blobs" / "trainval" for folder in (root, town.resolve()))
    for window in (window for of_log in made.sensors[:count] for window in of_log[:tokens]):
        for new, old in window.items():
            (ours / new).parent.mkdir(parents=True, exist_ok=True)
            if not (ours / new).is_symlink():
                (ours / new).symlink_to(theirs / old)


def write_lists(root: Path, made: ScaleLogs, count: int, tokens_of_a_log: int = TOKENS) -> None:
    """``navtrain-<count>.yaml`` and ``split-<count>.yaml`` over the first ``count`` logs, 18 % of them for val; the
    filter lists so many tokens of each log."""
    names = made.names[:count]
    tokens = [token for of_log in made.tokens[:count] for token in of_log[:tokens_of_a_log]]
    cut = max(1, round(0.18 * count))
    lists = {"train_logs": names[:-cut], "val_logs": names[-cut:]}
    (root / f"split-{count}.yaml").write_text("".join(f"{k}:\n" + _listed(v) for k, v in lists.items()))
    head = "num_history_frames: 4\nnum_future_frames: 10\nframe_interval: 1\nhas_route: true\nmax_scenes: null\n"
    (root / f"navtrain-{count}.yaml").write_text(f"{head}log_names:\n{_listed(names)}tokens:\n{_listed(tokens)}")


def _listed(names: Sequence[str]) -> str:
    return "".join(f"- '{name}'\n" for name in names)


def fill_caches(frames: FrameCache, targets: TargetCache, logs: Sequence[Sequence[Scene]], needs) -> None:
    """Records of zeros, which take no room on the disk, for all windows."""
    for of_log in logs:
        group = scene_ref(of_log[0]).group
        shown = [ref.frame.token for ref in frames_of(of_log, needs.frames, needs.stride)]
        _zeros(frames.store, group, shown)
        _zeros(targets.store, group, [scene.token for scene in of_log])


def _zeros(store: RecordStore, group: str, tokens: Sequence[str], rows: int = PART_RECORDS) -> None:
    crc = zlib.crc32(bytes(store.dtype.itemsize))
    entries: dict[str, Entry] = {}
    (store.root / group).mkdir(parents=True, exist_ok=True)
    for begin in range(0, len(tokens), rows):
        part = tokens[begin : begin + rows]
        path = store.root / group / f"part-{begin:012d}.npy"
        header = {"descr": np.lib.format.dtype_to_descr(store.dtype), "fortran_order": False, "shape": (len(part),)}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + len(part) * store.dtype.itemsize)
        entries |= {token: Entry(path.name, row, "of nothing", crc) for row, token in enumerate(part)}
    stamps = {entry.part: Stamp.of(store.root / group / entry.part) for entry in entries.values()}
    store._write_index(group, GroupIndex(entries, stamps))
