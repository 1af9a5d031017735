"""The published size: the key list, the way there and back bit by bit, and the numbers that the official code gave."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import reference_weights
import torch
from official_weights import OFFICIAL, identical, lightning_file

from wotempo.checkpoints.rebuild import load_module
from wotempo.interop import export_official, import_official, read_single_frame, write_checkpoint
from wotempo.interop.weights import wanted_tensors
from wotempo.planners.config import sizes


@pytest.fixture
def folder(tmp_path):
    """Emptied afterwards: a checkpoint is 256 MB."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.shared
def test_what_is_wanted_is_the_published_list(shared_dir):
    rows = (shared_dir / "reference" / "wote_state_dict.txt").read_text().splitlines()
    published = {OFFICIAL + key: (shape, f"torch.{dtype}") for key, shape, dtype in (row.split("\t") for row in rows)}
    wanted = wanted_tensors(sizes("wote"), OFFICIAL)
    assert {key: (str(tuple(value.shape)), str(value.dtype)) for key, value in wanted.items()} == published


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2])
def test_there_and_back_and_the_official_numbers(folder, golden_dir, steps):
    shapes = {key: value.shape for key, value in wanted_tensors(replace(sizes("wote"), future_steps=steps), "").items()}
    state = {OFFICIAL + key: value for key, value in reference_weights.weights(shapes).items()}
    assert len(state) == 829
    official = lightning_file(folder / "official.ckpt", state)
    ours = write_checkpoint(import_official(official), folder / "ours.ckpt").checkpoint
    exported = export_official(read_single_frame(ours), folder / "exported.ckpt").checkpoint
    found = import_official(exported)
    assert found.config == replace(sizes("wote"), mode="compat", future_steps=steps)
    assert identical({OFFICIAL + key: value for key, value in found.tensors.items()}, state)

    model = load_module(ours).model
    camera, lidar, status, _ = reference_weights.inputs()
    with torch.no_grad():
        plan = model.select(model.encode(camera[:1], lidar[:1]), status[:1])
    with np.load(golden_dir / "wote" / "wote_slices.npz") as reference:
        for key, mine in (("trajectory", plan["trajectory"]), ("final_rewards", plan["final_rewards"][:, ::4])):
            theirs = reference[f"K{steps}.test.{key}"]
            assert mine.shape == theirs.shape
            assert np.abs(mine.numpy() - theirs).max() < 1e-4 * np.abs(theirs).max(), key
