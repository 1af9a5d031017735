"""Drives that several vehicles record: a log of each, the first one's as in a town where nobody else records."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from wotempo.configs import values

from wotempo.city import build_city, city_config
from wotempo.city.dataset import build as build_module
from wotempo.city.dataset.config import PRESETS
from wotempo.city.dataset.plan import plan_logs
from wotempo.city.traffic.drive import WARM_UP_S
from wotempo.city.traffic.simulation import DT
from wotempo.geometry import compose
from wotempo.navsim.dataset import NO_IMITATION, read_no_imitation, read_splits
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import FRAME_PERIOD_S, NUM_FUTURE, Log

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


@pytest.mark.parametrize(("option", "windows"), [("1.8k", 1800), ("6k", 6000), ("18k", 18_000)])
def test_lists_of_logs_hold_the_windows_they_promise_evenly_over_the_drives(option, windows):
    train = {plan.identity.name: plan for plan in plan_logs(PRESETS["medium"]) if plan.split == "train"}
    file = values(f"scale/{option}")["data"]["train"]["logs"]
    listed = list(train) if file is None else values(file.removeprefix("configs/").removesuffix(".yaml"))["train_logs"]
    assert len(set(listed)) * (PRESETS["medium"].frames - NUM_FUTURE) == windows
    counts = Counter(train[name].number for name in listed)
    assert len(counts) == PRESETS["medium"].train.logs
    assert max(counts.values()) - min(counts.values()) <= 1
    assert all(plan.identity.name in listed for plan in train.values() if plan.recorder == 0)  # those of small


def test_the_first_recorder_and_the_other_splits_are_those_of_a_town_without_others(built, tmp_path, no_map):
    build_city(tmp_path, replace(CONFIG, recorders=None))
    alone = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.pkl"))
    assert len(alone) == 3
    for path in alone:
        assert (built / path).read_bytes() == (tmp_path / path).read_bytes()


def test_every_recorder_has_a_log_of_its_own(train):
    assert len({log.name for log in train}) == len({log.frames[0].vehicle_name for log in train}) == 4
    tokens = [frame.token for log in train for frame in log.frames]
    assert len(set(tokens)) == len(tokens)
    for k in range(CONFIG.frames):
        assert len({log.frames[k].timestamp_us for log in train}) == 1  # they record one drive


def test_recorders_see_each_other():
    config = city_config("medium")
    plans = [plan for plan in plan_logs(config) if plan.split == "train" and plan.number == 0]
    logs, places = [], []
    for plan in plans:
        drive, people, ego = build_module.simulate_log(config, plan)
        district = build_module.draw_district(config.seed, plan.district)
        logs.append(build_module.record_log(district, drive, people, ego, plan.identity, 8))
        places.append(ego)
    assert len(set(places)) == len(plans) == 10
    seen = 0
    for mine, theirs in permutations(logs, 2):
        for here, there in zip(mine, theirs, strict=True):
            if np.hypot(*(there.pose - here.pose)[:2]) > 60.0:
                continue
            seen += 1
            centres = compose(here.pose, here.boxes.boxes[:, [0, 1, 6]])
            assert np.hypot(*(centres - there.pose)[:, :2].T).min() < 1.5  # from box centre to rear axle
    assert seen > 10


def test_sensor_files_of_recorders_end_with_the_last_window(tmp_path, monkeypatch, no_map):
    asked = []
    monkeypatch.setattr(build_module, "write_sensors", lambda world, actors, frame, *_: asked.append(frame))
    build_city(tmp_path, replace(CONFIG, sensors=True))
    by_log = {name: sum(frame.log_name == name for frame in asked) for name in {f.log_name for f in asked}}
    splits = read_splits(tmp_path)
    for split, expected in (("train", CONFIG.frames - NUM_FUTURE), ("val", CONFIG.frames), ("test", CONFIG.frames)):
        assert {by_log[name] for name in splits[split].logs} == {expected}


def test_scenes_that_are_not_to_be_imitated_are_those_off_the_path(built, train):
    listed = read_no_imitation(built)
    assert listed is not None
    assert listed.town == CONFIG.fingerprint
    (plan,) = [plan for plan in plan_logs(CONFIG) if plan.recovery]
    (log,) = [log for log in train if log.name == plan.identity.name]
    places = [k for k, frame in enumerate(log.frames) if frame.token in listed.tokens]
    assert len(places) == len(listed.tokens) > 0
    assert places == list(range(len(places)))  # the drive begins off the path and takes it back once
    drive, _, ego = build_module.simulate_log(CONFIG, plan)
    origin = build_module.draw_district(CONFIG.seed, plan.district).origin
    first, step = round(WARM_UP_S / DT), round(FRAME_PERIOD_S / DT)
    for k, frame in enumerate(log.frames):
        off = np.hypot(*(frame.pose[:2] - origin - drive.poses[first + step * k, ego, :2]))
        assert off <= 0.81
        if k not in places:
            assert off < 0.021  # neither it nor its future is off the path
    assert np.hypot(*(log.frames[0].pose[:2] - origin - drive.poses[first, ego, :2])) > 0.1


def test_an_interrupted_build_lists_the_same_scenes(built, tmp_path, monkeypatch, no_map):
    whole = build_module.make_log

    def stops_after_train(root, config, plan):
        if plan.split != "train":
            raise KeyboardInterrupt
        whole(root, config, plan)

    monkeypatch.setattr(build_module, "make_log", stops_after_train)
    with pytest.raises(KeyboardInterrupt):
        build_city(tmp_path, CONFIG)
    assert not (tmp_path / NO_IMITATION).exists()
    monkeypatch.setattr(build_module, "make_log", whole)
    build_city(tmp_path, CONFIG)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in built.iterdir()}
    assert (tmp_path / NO_IMITATION).read_bytes() == (built / NO_IMITATION).read_bytes()
