"""Drives that several vehicles record: a log of each, the first one's as in a town where nobody else records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wotempo.city import build_city, city_config
from wotempo.city.dataset import build as build_module
from wotempo.city.dataset.config import PRESETS
from wotempo.city.dataset.plan import plan_logs
from wotempo.geometry import compose
from wotempo.navsim.dataset import read_splits
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import NUM_FUTURE, Log

CONFIG = replace(city_config("medium_micro", seed=2), sensors=False)


@pytest.fixture(scope="module")
def no_map(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "write_town_map", lambda maps_root, districts: None)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory, no_map) -> Path:
    root = tmp_path_factory.mktemp("recorders")
    build_city(root, CONFIG)
    return root


@pytest.fixture(scope="module")
def train(built) -> list[Log]:
    entry = read_splits(built)["train"]
    return [read_log(built / "navsim_logs" / entry.split / f"{name}.pkl", entry.split) for name in entry.logs]


def test_medium_has_eighteen_thousand_windows_of_the_drives_of_small():
    medium, small = plan_logs(PRESETS["medium"]), plan_logs(PRESETS["small"])
    train = [plan for plan in medium if plan.split == "train"]
    assert len(train) * (PRESETS["medium"].frames - NUM_FUTURE) >= 18_000
    assert [plan for plan in medium if plan.recorder == 0] == small
    assert len({(plan.number, plan.district) for plan in train}) == PRESETS["small"].train.logs
    assert 0.25 < sum(plan.recovery for plan in train) / len(train) < 0.4
    assert not any(plan.recovery for plan in medium if plan.recorder == 0)


def test_the_first_recorder_and_the_other_splits_are_those_of_a_town_without_others(built, tmp_path, no_map):
    build_city(tmp_path, replace(CONFIG, recorders=None))
    alone = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.pkl"))
    assert len(alone) == 3
    for path in alone:
        assert (built / path).read_bytes() == (tmp_path / path).read_bytes()


def test_every_recorder_has_a_log_of_its_own_and_sees_the_others(train):
    assert len({log.name for log in train}) == len({log.frames[0].vehicle_name for log in train}) == 4
    tokens = [frame.token for log in train for frame in log.frames]
    assert len(set(tokens)) == len(tokens)
    seen = 0
    for k in range(CONFIG.frames):
        assert len({log.frames[k].timestamp_us for log in train}) == 1  # they record one drive
        for one in train:
            boxes = one.frames[k].boxes.boxes
            centres = compose(one.frames[k].pose, boxes[:, [0, 1, 6]])
            for other in train:
                pose = other.frames[k].pose
                if other is one or np.hypot(*(pose - one.frames[k].pose)[:2]) > 60.0:
                    continue
                seen += 1  # a box holds the other's rear axle, but for the drift of a recovery
                assert np.hypot(*(centres - pose)[:, :2].T).min() < 2.5
    assert seen


def test_sensor_files_of_recorders_end_with_the_last_window(tmp_path, monkeypatch, no_map):
    asked = []
    monkeypatch.setattr(build_module, "write_sensors", lambda world, actors, frame, *_: asked.append(frame))
    build_city(tmp_path, replace(CONFIG, sensors=True))
    by_log = {name: sum(frame.log_name == name for frame in asked) for name in {f.log_name for f in asked}}
    splits = read_splits(tmp_path)
    for split, expected in (("train", CONFIG.frames - NUM_FUTURE), ("val", CONFIG.frames), ("test", CONFIG.frames)):
        assert {by_log[name] for name in splits[split].logs} == {expected}
