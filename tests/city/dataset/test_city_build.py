"""Building: the same files whatever the workers, never mistaken for complete, resumable."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wotempo.city import CityConfig, SplitSize, build_city, city_config
from wotempo.city.dataset import build as build_module
from wotempo.city.dataset.config import PRESETS
from wotempo.city.dataset.plan import district_count, plan_logs
from wotempo.city.sensors.world import AXLE_HEIGHT, CLASS_NAMES
from wotempo.errors import UserError
from wotempo.geometry import relative_to

SMALLEST = CityConfig(SplitSize(1, 1), SplitSize(1, 1), SplitSize(1, 1), frames=14, sensors=False)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("smallest")
    build_city(root, SMALLEST)
    return root


@pytest.fixture
def no_map(monkeypatch) -> None:
    """For tests of the logs alone: writing the map takes longer than the logs."""
    monkeypatch.setattr(build_module, "write_town_map", lambda maps_root, districts: None)


def test_files_do_not_depend_on_the_number_of_workers(built, tmp_path):
    build_city(tmp_path, SMALLEST, workers=2)
    assert contents(tmp_path) == contents(built)


@pytest.mark.usefixtures("no_map")
def test_another_seed_is_another_town(built, tmp_path):
    build_city(tmp_path, replace(SMALLEST, seed=1))
    mine, theirs = (set(contents(root / "navsim_logs").values()) for root in (tmp_path, built))
    assert len(mine) == len(theirs) == 3
    assert not mine & theirs


def test_a_complete_town_is_left_alone(built):
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    build_city(built, SMALLEST)
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before


def test_an_interrupted_build_is_not_complete_and_goes_on(built, tmp_path, monkeypatch):
    whole = build_module.make_log
    made = []

    def stops_at_the_second(root, config, plan):
        if made:
            raise KeyboardInterrupt
        made.append(plan)
        whole(root, config, plan)

    monkeypatch.setattr(build_module, "make_log", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        build_city(tmp_path, SMALLEST)
    assert not (tmp_path / "city.json").exists()
    assert not (tmp_path / "splits.json").exists()

    monkeypatch.setattr(
        build_module, "make_log", lambda root, config, plan: made.append(plan) or whole(root, config, plan)
    )
    build_city(tmp_path, SMALLEST)
    assert len(made) == len({plan.identity.name for plan in made}) == 3
    assert contents(tmp_path) == contents(built)


@pytest.mark.parametrize("unfinished", [False, True])
def test_another_towns_folder_is_refused(built, tmp_path, unfinished):
    name = "city.unfinished.json" if unfinished else "city.json"
    (tmp_path / name).write_text(json.dumps({"fingerprint": "0" * 12}))
    with pytest.raises(UserError, match="another town"):
        build_city(tmp_path, SMALLEST)
    (tmp_path / name).write_text("{")  # cut off
    with pytest.raises(UserError, match="another town"):
        build_city(tmp_path, SMALLEST)


@pytest.mark.usefixtures("no_map")
def test_a_full_disk_is_the_users_error(tmp_path, monkeypatch):
    rename = os.replace

    def full(source, target):
        if str(target).endswith(".pkl"):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        build_city(tmp_path, SMALLEST)
    assert not (tmp_path / "city.json").exists()
    assert not list(tmp_path.rglob("*.pkl"))


@pytest.mark.usefixtures("no_map")
def test_sensors_are_asked_for_every_frame_with_what_the_frame_says(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(build_module, "write_sensors", lambda *arguments: asked.append(arguments))
    config = replace(SMALLEST, sensors=True, cameras=("CAM_F0", "CAM_B0"))
    build_city(tmp_path, config)
    assert len(asked) == 3 * config.frames
    assert len({id(world) for world, *_ in asked}) == 3
    for _, actors, frame, blobs, cameras in asked:
        assert cameras == config.cameras
        assert blobs.parent == tmp_path / "sensor_blobs"
        local = actors.boxes.copy()
        local[:, [0, 1, 6]] = relative_to(frame.pose, actors.boxes[:, [0, 1, 6]])
        local[:, 2] -= AXLE_HEIGHT
        gap = np.abs(frame.boxes.boxes[:, None, :6] - local[None, :, :6]).max(-1)  # every annotated thing is shown
        assert gap.min(1).max() < 1e-6
        assert (np.array(CLASS_NAMES)[actors.classes[gap.argmin(1)]] == frame.boxes.names).all()
        assert len(actors.colours) == len(local) > len(frame.boxes.boxes)  # and things further away, too
        assert np.hypot(*relative_to(frame.pose, actors.lights[:, :3])[:, :2].T).max(initial=0.0) < 150.0


@pytest.mark.usefixtures("no_map")
def test_progress_ends_at_the_total(tmp_path):
    reports = []
    build_city(tmp_path, SMALLEST, progress=lambda *report: reports.append(report))
    assert [done for _, done, _ in reports] == [0, 1, 2, 3]
    assert {total for *_, total in reports} == {3}


def test_presets_have_the_promised_sizes():
    tiny, small = plan_logs(PRESETS["tiny"]), plan_logs(PRESETS["small"])
    test_logs = [plan for plan in tiny if plan.split == "test"]
    assert 24 <= len(tiny) <= 26
    assert len(test_logs) * (PRESETS["tiny"].frames - 13) >= 200
    assert len(small) >= 80
    assert sum(plan.split == "test" for plan in small) >= 20
    assert PRESETS["small"].frames == 40


@pytest.mark.parametrize("preset", PRESETS)
def test_stages_share_no_district_and_no_name(preset):
    plans = plan_logs(PRESETS[preset])
    districts: dict[int, set[str]] = {}
    for plan in plans:
        districts.setdefault(plan.district, set()).add(plan.split)
    assert set(districts) == set(range(district_count(PRESETS[preset])))
    assert all(len(splits) == 1 for splits in districts.values())
    assert len({plan.identity.name for plan in plans}) == len(plans)


def test_fingerprint_tells_configs_apart():
    prints = {city_config(name, seed, every).fingerprint for name in PRESETS for seed in (0, 1) for every in (0, 1)}
    assert len(prints) == 4 * len(PRESETS)
    assert city_config("tiny").fingerprint == city_config("tiny").fingerprint


def test_wrong_configs_are_the_users_error():
    with pytest.raises(UserError, match="tiny"):
        city_config("huge")
    with pytest.raises(UserError, match="14"):
        replace(SMALLEST, frames=13)
    with pytest.raises(UserError, match="CAM_X"):
        replace(SMALLEST, cameras=("CAM_X",))
