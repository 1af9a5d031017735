"""Fixtures on the tiny dataset of ``tiny_dataset``; read only for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from score_tables import write_score_table
from tiny_dataset import NEEDS, NUM_ANCHORS, SPEC, TARGETS, read_scenes, write_dataset

from wotempo.data.module import NavsimDataModule
from wotempo.navsim.anchors import fingerprint
from wotempo.navsim.schema import DataPaths, Scene


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> DataPaths:
    return write_dataset(tmp_path_factory.mktemp("navsim"))


@pytest.fixture(scope="session")
def scenes(dataset) -> list[Scene]:
    return read_scenes(dataset)


@pytest.fixture(scope="session")
def anchors() -> np.ndarray:
    steps = np.arange(1, 9) * 0.5
    speeds = np.linspace(1, 8, NUM_ANCHORS)[:, None]
    return np.stack([speeds * steps, 0.1 * steps**2 + 0 * speeds, 0.02 * steps + 0 * speeds], -1).astype(np.float32)


@pytest.fixture(scope="session")
def labels(tmp_path_factory, scenes, anchors) -> Path:
    path = tmp_path_factory.mktemp("labels") / "table"
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 2, (len(scenes), 5, NUM_ANCHORS)).astype(np.float32)
    write_score_table(path, [scene.token for scene in scenes], scores, fingerprint(anchors), "test")
    return path


@pytest.fixture(scope="session")
def cache_root(tmp_path_factory) -> Path:
    """Shared by the tests that only read; each builds what it needs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make_module(dataset, scenes, anchors, labels, cache_root):
    def make(**changes) -> NavsimDataModule:
        arguments = {
            "paths": dataset,
            "scenes": {"train": scenes[:9], "val": scenes[9:], "test": scenes[9:], "predict": scenes[9:]},
            "anchors": anchors,
            "labels": labels,
            "feature_spec": SPEC,
            "target_spec": TARGETS,
            "needs": NEEDS,
            "batch_size": 5,
            "run_length": 4,
        }
        return NavsimDataModule(cache_root=cache_root, **(arguments | changes))

    return make
