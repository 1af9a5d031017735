"""Damaged or mismatching input: one sentence that names the file, before training, and nothing lost."""

from __future__ import annotations

import pickle
import re
import shutil

import numpy as np
import pytest

from wotempo.errors import UserError
from wotempo.navsim import write_anchors

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
SMOKE = ("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1", "data.prepare_workers=1")


@pytest.fixture
def town(train, workspace, tmp_path):
    """A private copy of the micro town, to be damaged, with caches of its own."""
    train(*SMOKE)
    source = next(path for path in workspace.iterdir() if path.name.startswith("town-"))
    copy = tmp_path / "copy" / source.name
    shutil.copytree(source, copy)
    return copy


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path.name


def refused(train, town, *overrides) -> str:
    with pytest.raises(UserError) as caught:
        train(*SMOKE, f"data.root={town}", f"workspace={town.parent / 'workspace'}", *overrides)
    return str(caught.value)


@pytest.mark.parametrize("pattern", ["trainval/**/*.jpg", "trainval/**/*.pcd"])
def test_a_truncated_sensor_file_is_named(pattern, train, town):
    names = [truncate(path) for path in (town / "sensor_blobs").glob(pattern)]
    message = refused(train, town)
    assert any(name in message for name in names)


def test_missing_sensor_files_are_counted(train, town):
    gone = sorted((town / "sensor_blobs").glob("trainval/**/*.pcd"))
    for path in gone:
        path.unlink()
    message = refused(train, town)
    assert re.search(r"\d+ of \d+ sensor files are missing", message)
    assert any(path.name in message for path in gone)


def test_a_truncated_map_is_named(train, town):
    truncate(next((town / "maps" / "us-nv-las-vegas-strip").rglob("*.gpkg")))
    assert "map.gpkg" in refused(train, town)


def test_a_log_with_foreign_code_is_named_and_not_run(train, town, tmp_path):
    class Attack:
        def __reduce__(self):
            return (print, ("ran",))

    path = sorted((town / "navsim_logs" / "trainval").glob("*.pkl"))[0]
    path.write_bytes(pickle.dumps([Attack()]))
    message = refused(train, town)
    assert path.name in message
    assert "print" in message


def test_labels_of_other_anchors_are_refused(train, town, tmp_path):
    train(*SMOKE, f"data.root={town}", f"workspace={town.parent / 'workspace'}")
    labels = next((town.parent / "workspace" / "labels").iterdir())
    other = tmp_path / "other.npy"
    write_anchors(other, np.random.default_rng(0).normal(size=(16, 8, 3)).astype(np.float32))
    message = refused(train, town, f"data.labels={labels}", f"data.anchors={other}")
    assert "labels were made for anchors" in message


def test_a_town_of_another_preset_is_refused(train, town):
    assert "another town" in refused(train, town, "data.seed=7")


def test_a_missing_dataset_names_the_variable(train, monkeypatch):
    monkeypatch.delenv("OPENSCENE_DATA_ROOT", raising=False)
    with pytest.raises(UserError, match="OPENSCENE_DATA_ROOT"):
        train(*SMOKE, "data.kind=navsim")
