"""The anchors of a run: read from a file, or clustered from training futures and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from wotempo.datasets import Dataset, Progress
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Scene, read_anchors, write_anchors
from wotempo.navsim.index.stored import contents
from wotempo.navsim.lock import locked
from wotempo.pdm.agents import human_poses
from wotempo.pdm.anchors import cluster_anchors


def anchors_file(dataset: Dataset, paths: DataPaths, train: list[Scene], count: int) -> Path:
    """``data.anchors``, or where the ``count`` anchors of these training scenes lie once they are made."""
    if dataset.data.anchors is not None:
        return Path(dataset.data.anchors)
    files = contents(scene.log for scene in train).values()  # a log of the same tokens may tell other futures
    made_from = "".join([*(scene.token for scene in train), str(dataset.extra_drives), *files])
    which = hashlib.sha256(made_from.encode()).hexdigest()[:8]
    return Path(dataset.workspace) / "anchors" / f"{paths.root.name}-{count}-{which}.npy"


def anchors_of(dataset: Dataset, paths: DataPaths, train: list[Scene], count: int, progress: Progress) -> np.ndarray:
    """(count, 8, 3) x, y (m), heading (rad) in the ego frame, every 0.5 s: the file of ``data.anchors``, or k-means
    over the futures of training scenes and those that the dataset adds. UserError where the file holds another number
    of anchors."""
    path = anchors_file(dataset, paths, train, count)
    if dataset.data.anchors is not None or path.exists():
        try:
            anchors = read_anchors(path)
        except UserError as error:
            again = "fetch it again" if dataset.data.anchors is not None else "delete it, it is made anew"
            raise UserError(f"{error}: {again}") from error
        if len(anchors) != count:
            raise UserError(f"{path} holds {len(anchors)} anchors: set model.num_anchors={len(anchors)}")
        return anchors
    with locked(path.with_name(f".{path.name}.lock"), str(path), wait=True):
        if not path.exists():
            _cluster(dataset, train, count, path, progress)
    return read_anchors(path)


def _cluster(dataset: Dataset, train: list[Scene], count: int, path: Path, progress: Progress) -> None:
    progress("cluster anchors", 0, 1)
    futures = np.stack([human_poses(scene) for scene in train])
    if dataset.extra_drives:
        futures = np.concatenate((futures, dataset.extra_futures()))
    anchors = cluster_anchors(futures, count, seed=0)
    write_anchors(path, anchors)
    progress("cluster anchors", 1, 1)
