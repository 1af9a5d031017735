"""The doctor's command on a micro town: nothing fails on a sound one, and each kind of damage is found."""

from __future__ import annotations

import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose
from score_tables import write_score_table

from wotempo.commands.doctor import work
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.datasets import dataset_of, split_scenes
from wotempo.doctor.dataset import dataset_findings
from wotempo.doctor.environment import environment
from wotempo.maps import read_map
from wotempo.maps.locations import map_path
from wotempo.navsim import DataPaths, fingerprint, write_anchors
from wotempo.pdm.labels.label_parts import score_scene
from wotempo.pdm.score import SCORER_VERSION
from wotempo.preparation.anchors import anchors_file
from wotempo.preparation.labels import labels_folder


def config_of(*overrides):
    with loaded():
        return compose("doctor", overrides=["run_dir=unset", "trainer.progress_bar=false", *overrides])


@pytest.fixture
def micro(micro_town, tmp_path):
    """A copy to be damaged, and ``examine(*overrides) -> findings by check``."""
    root = tmp_path / "town"
    shutil.copytree(micro_town, root)
    given = ("data.preset=micro", f"data.root={root}", f"workspace={tmp_path / 'workspace'}")

    def examine(*overrides):
        config = check_config(config_of(*given, *overrides))
        return {f.check: f for f in dataset_findings(config, lambda *_: None)}

    examine.root, examine.given = root, given
    return examine


def scenes_of(config, split):
    """The scenes of a split of a town that lies there."""
    dataset = dataset_of(config.data, config.workspace)
    return split_scenes(dataset, dataset.here(), split, lambda *_: None)


def first(root, pattern):
    return sorted(root.glob(pattern))[0]


def test_a_sound_town_passes_and_nothing_is_written(micro, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    findings = micro()
    assert {name: f.status for name, f in findings.items()} == {
        "dataset": "ok",
        "sensors train": "ok",
        "sensors val": "ok",
        "sensors test": "ok",
        "maps": "ok",
        "anchors": "warn",
        "disk": findings["disk"].status,
    }
    assert "make labels" in findings["anchors"].fix
    assert work(config_of(*micro.given)) == 0
    assert "nothing would stop this run" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_town_that_is_not_generated_is_a_warning(tmp_path):
    config = check_config(config_of("data.preset=micro", f"workspace={tmp_path}"))
    found = list(dataset_findings(config, lambda *_: None))
    assert [f.status for f in found][:1] == ["warn"]
    assert "make train-convgru-1epoch" in found[0].fix


def test_missing_and_empty_files_are_counted_by_position(micro, capsys):
    paths = DataPaths(micro.root, micro.root / "maps")
    scenes = scenes_of(check_config(config_of(*micro.given)), "train")
    begins = next(scene for scene in scenes if scene.history[0] is None and scene.history[1] is not None)
    gone = paths.blob_dir("trainval") / begins.history[1].lidar_path  # the log's first frame, history of later scenes
    gone.unlink()
    before = micro()["sensors train"]
    assert before.status == "fail"
    assert gone.name in before.found
    assert "0 files of 0 bytes" in before.found
    gone.write_bytes(b"")
    assert "1 files of 0 bytes" in micro()["sensors train"].found
    assert work(config_of(*micro.given)) == 1
    assert "1 checks failed: sensors train" in capsys.readouterr().out


def test_history_that_is_absent_may_be_masked(micro):
    whole = "data.full_history_only=true"  # the first frames of a log are then history and nothing else
    config = check_config(config_of(*micro.given, whole))
    paths = dataset_of(config.data, config.workspace).here()
    oldest = scenes_of(config, "val")[0].history[0]
    (paths.blob_dir("trainval") / oldest.lidar_path).unlink()
    found = micro(whole)["sensors val"]
    assert found.status == "fail"
    assert "frames without files -3: 1, -2: 0, -1: 0, 0: 0" in found.found
    assert micro(whole, "data.missing=mask")["sensors val"].status == "warn"


def test_a_damaged_map_a_foreign_map_and_no_map(micro):
    from wotempo.doctor.coverage import check_maps

    config = check_config(config_of(*micro.given))
    paths = dataset_of(config.data, config.workspace).here()
    frames = [s.current for s in scenes_of(config, "val")]
    away = np.array([900.0, 900.0, 0.0])
    shifted = [SimpleNamespace(pose=frame.pose + away, map_location=frame.map_location) for frame in frames]
    assert check_maps(paths, shifted).status == "fail"
    assert check_maps(paths, [*frames[1:], *frames[1:], shifted[0]]).status in ("ok", "warn")
    file = map_path(paths.maps, frames[0].map_location)
    file.write_bytes(file.read_bytes()[:5000])
    assert micro()["maps"].status == "fail"
    assert "map.gpkg" in micro()["maps"].found


def test_a_damaged_log_and_a_missing_split(micro):
    first(micro.root, "navsim_logs/trainval/*.pkl").write_bytes(b"")
    shutil.rmtree(micro.root / "navsim_logs" / "test")
    found = micro()
    assert "fail" in {found[f"scenes {split}"].status for split in ("train", "val") if f"scenes {split}" in found}
    assert found["scenes test"].status == "warn"


def test_anchors_and_labels_that_do_not_belong_together(micro):
    config = check_config(config_of(*micro.given, "model.num_anchors=4"))
    examine = partial(micro, "model.num_anchors=4")
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.here()
    scenes = {split: scenes_of(config, split) for split in ("train", "val")}
    members = list({s.token: s for group in scenes.values() for s in group}.values())
    anchors = np.random.default_rng(0).normal(size=(4, 8, 3)).astype(np.float32)
    file = anchors_file(dataset, paths, scenes["train"], 4)
    write_anchors(file, anchors)
    assert examine()["anchors"].status == "ok"
    assert examine()["labels"].status == "warn"
    folder = labels_folder(config.workspace, paths, members, anchors)
    tokens = [scene.token for scene in members]

    scores = np.stack([score_scene(s, read_map(paths.maps, s.current.map_location), anchors) for s in members])

    def write(of, name, values=scores):
        write_score_table(folder, of, values[: len(of)], name, SCORER_VERSION)

    write(tokens, fingerprint(anchors))
    assert examine()["labels"].status == "ok"
    write(tokens, fingerprint(anchors), np.roll(scores, 1, 0))
    assert "rows are not what the scorer says" in examine()["labels"].found
    write(tokens, fingerprint(anchors), np.ones_like(scores))
    assert "all anchors have the same label" in examine()["labels"].found
    write(tokens[1:], fingerprint(anchors))
    assert tokens[0] in examine()["labels"].found
    write(tokens, "0123456789abcdef")
    assert "labels were made for anchors 0123456789abcdef" in examine()["labels"].found
    write_anchors(file, anchors[:3])
    assert examine()["anchors"].fix == "model.num_anchors=3"
    file.write_bytes(b"no array")
    assert examine()["anchors"].status == "fail"


def test_a_run_that_wants_a_gpu_fails_without_one_and_says_so(monkeypatch):
    monkeypatch.setattr("wotempo.doctor.environment.visible_gpus", list)
    found = {f.check: f for f in environment(check_config(config_of("trainer=gpu")))}
    assert found["gpu"].status == "fail"
    assert {"python", "packages", "cpus", "memory"} <= set(found)


def test_real_data_without_its_variable_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENSCENE_DATA_ROOT", raising=False)
    config = check_config(config_of("data.kind=navsim", f"workspace={tmp_path}"))
    found = list(dataset_findings(config, lambda *_: None))
    assert [f.status for f in found] == ["fail"]
    assert "OPENSCENE_DATA_ROOT" in found[0].found
