"""`make plan-data`: what is needed, here and missing: of a micro town, of one read as NAVSIM, and of nothing at all."""

from __future__ import annotations

import json
import shutil

import pytest
from hydra import compose

from wotempo.commands.plan_data import check, located, planned, work
from wotempo.config.composition import loaded
from wotempo.datasets import DATASETS, SPLITS, dataset_of
from wotempo.datasets.navsim_archives import MAPS, TEST_LOGS, TEST_SENSORS, TRAIN_CURRENT, TRAIN_HISTORY, TRAIN_LOGS
from wotempo.datasets.supply import FILES_PER_FRAME, map_files
from wotempo.doctor.dataset import dataset_findings
from wotempo.navsim import read_log
from wotempo.preparation.plan import by_logs


def config_of(*overrides):
    with loaded():
        return compose("plan_data", overrides=["run_dir=unset", "trainer.progress_bar=false", *overrides])


@pytest.fixture
def town(micro_town, tmp_path):
    root = tmp_path / "town"
    shutil.copytree(micro_town, root)
    return root, ("data.preset=micro", f"data.root={root}", f"workspace={tmp_path}")


def pieces(*overrides):
    config, lacking = check(config_of(*overrides))
    dataset = dataset_of(config.data, config.workspace)
    found = planned(config, dataset, lacking, lambda *_: None)
    return {piece.name: piece for piece in found.fetch}, found, lacking


def to_fetch(found, kind="navsim"):
    return DATASETS[kind].supply.to_fetch(found.fetch)


def test_a_whole_town_needs_nothing(town, capsys):
    root, given = town
    assert work(config_of(*given)) == 0
    assert "the dataset is whole" in capsys.readouterr().out
    named, found, _ = pieces(*given)
    blobs = [file for file in root.glob("sensor_blobs/*/*/*/*") if file.is_file()]
    counted = sum(piece.needed for name, piece in named.items() if "frames" in name)
    assert 0 < counted <= len(blobs)
    assert counted % FILES_PER_FRAME == 0
    assert dict(found.made)["labels"] > 0
    assert dict(found.made)["caches of frames and targets"] > 1e5


def test_what_is_missing_is_counted_and_sized(town, capsys):
    root, given = town
    whole = pieces(*given)[0]["train: current frames"]
    lost = sorted(root.glob("sensor_blobs/trainval/*/CAM_F0/*.jpg"))
    for file in lost:
        file.unlink()
    named, found, _ = pieces(*given)
    now = named["train: current frames"]
    missing = now.needed - now.here
    assert now.needed == whole.needed
    assert missing * FILES_PER_FRAME == now.needed  # every camera in front, one file of four
    assert now.bytes_missing == pytest.approx(now.bytes_here / now.here * missing)
    assert to_fetch(found, "town") > 0
    assert work(config_of(*given)) == 1
    assert f"{missing}" in capsys.readouterr().out


def test_an_empty_file_is_a_missing_one(town):
    root, given = town
    sorted(root.glob("sensor_blobs/test/*/MergedPointCloud/*.pcd"))[-1].write_bytes(b"")
    now = pieces(*given)[0]["test: current frames"]
    assert now.needed - now.here == 1


def test_logs_of_the_filter_that_are_missing_are_listed(nothing, town, tmp_path, monkeypatch):
    """The dataset is not whole, and their names are said."""
    monkeypatch.setenv("NAVSIM_DEVKIT_ROOT", str(tmp_path))
    root, _ = town
    here = sorted(path.stem for path in (root / "navsim_logs" / "test").glob("*.pkl"))
    gone = [f"2021.07.0{i}_veh-47" for i in range(8)]
    tokens = [frame.token for frame in read_log(root / "navsim_logs" / "test" / f"{here[0]}.pkl", "test").frames]
    listed = {"log_names": [*here, *gone], "tokens": [*tokens, *(f"{i:016x}" for i in range(20))]}
    (tmp_path / "filter.yaml").write_text(json.dumps(listed))
    own = [f"data.{split}.{key}=null" for split in SPLITS for key in ("scene_filter", "logs")]
    own[-2] = f"data.test.scene_filter={tmp_path / 'filter.yaml'}"
    given = ("experiment=baseline_1epoch", *nothing, f"data.root={root}", f"workspace={tmp_path}", *own)
    config, _ = check(config_of(*given, "data.full_history_only=false"))
    dataset = dataset_of(config.data, config.workspace)
    found = by_logs(config, dataset, located(dataset, []), lambda *_: None)
    named = {piece.name: piece for piece in found.fetch}
    assert (named["test: logs"].needed, named["test: logs"].here) == (len(here) + 8, len(here))
    assert not found.complete
    assert f"missing logs of test: {', '.join(gone)}" in found.notes
    assert any(f"of {len(tokens) + 20} listed tokens are here" in note for note in found.notes)
    doctor = {f.check: f for f in dataset_findings(config, lambda *_: None)}
    assert doctor["scenes test"].status == "warn"
    assert "20 in 8 logs that are missing" in doctor["scenes test"].found
    assert gone[-1] in doctor["scenes test"].fix


def test_a_town_that_is_not_there_says_who_makes_it(tmp_path, capsys):
    assert work(config_of("data.preset=micro", f"workspace={tmp_path}")) == 1
    assert "make train-convgru-1epoch generates it" in capsys.readouterr().out.replace("\n", " ")


@pytest.fixture
def nothing(monkeypatch):
    for name in ("NAVSIM_DEVKIT_ROOT", "OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return ("data=navsim", "model=wote")


def test_without_navsim_the_published_sizes_stand_in(nothing):
    named, found, lacking = pieces("experiment=convgru_1epoch", *nothing)
    assert [line.split()[0] for line in lacking] == ["NAVSIM_DEVKIT_ROOT", "OPENSCENE_DATA_ROOT"]
    every = (MAPS, TRAIN_LOGS, TRAIN_CURRENT, TRAIN_HISTORY, TEST_LOGS, TEST_SENSORS)
    assert to_fetch(found) == pytest.approx(sum(archive.gigabytes for archive in every) * 1e9)
    assert named["train: current frames"].needed == 85_109 * FILES_PER_FRAME
    single = pieces("experiment=baseline_1epoch", *nothing)[1]
    assert to_fetch(found) - to_fetch(single) == pytest.approx(TRAIN_HISTORY.gigabytes * 1e9)
    assert single.made[0][1] < found.made[0][1]  # fewer frames to keep


def test_maps_that_are_here_are_counted_without_the_devkit(nothing, town):
    """Scene filters lie in the devkit; what needs none is looked at all the same."""
    root, _ = town
    named, found, lacking = pieces("experiment=baseline_1epoch", *nothing, f"data.root={root}")
    assert [line.split()[0] for line in lacking] == ["NAVSIM_DEVKIT_ROOT"]
    assert 0 < named["maps"].here == sum(file.is_file() for file in map_files(root / "maps"))
    assert named["train: current frames"].here == 0
    assert any("not counted without scene filters" in note for note in found.notes)
    own = [f"data.{split}.{key}=null" for split in SPLITS for key in ("scene_filter", "logs")]
    named, _, lacking = pieces("experiment=baseline_1epoch", *nothing, f"data.root={root}", *own)
    assert lacking == []
    assert named["train: current frames"].here > 0


def test_a_dataset_in_part_is_counted_by_its_logs(nothing, town):
    """The town read as NAVSIM: what is missing of an archive costs the whole archive."""
    root, _ = town
    for file in root.glob("sensor_blobs/trainval/*/CAM_L0/*.jpg"):
        file.unlink()
    shutil.rmtree(root / "navsim_logs" / "test")
    own = [f"data.{split}.{key}=null" for split in SPLITS for key in ("scene_filter", "logs")]
    given = ("experiment=convgru_1epoch", *nothing, f"data.root={root}", f"workspace={root.parent}", *own)
    config, _ = check(config_of(*given))
    dataset = dataset_of(config.data, config.workspace)
    found = by_logs(config, dataset, located(dataset, []), lambda *_: None)
    named = {piece.name: piece for piece in found.fetch}
    assert named["maps"].complete
    assert (named["train: current frames"].how, named["train: current frames"].complete) == (
        TRAIN_CURRENT.script,
        False,
    )
    assert named["test: logs"].here == 0
    lacking = TRAIN_CURRENT.gigabytes + TEST_LOGS.gigabytes + TEST_SENSORS.gigabytes
    lacking += TRAIN_HISTORY.gigabytes * any("history" in name for name in named)
    assert to_fetch(found) == pytest.approx(lacking * 1e9)
