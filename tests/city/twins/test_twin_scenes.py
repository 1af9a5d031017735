"""Twin scenes: one current frame, two histories and two futures."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from wotempo.city import build_city, city_config
from wotempo.city.dataset.config import SplitSize, TwinConfig
from wotempo.city.dataset.plan import plan_logs
from wotempo.city.twins.build import kinds_of, make_block, part_path, plan_blocks
from wotempo.features import FeatureSpec, camera_feature, lidar_feature, status_feature
from wotempo.geometry import relative_to
from wotempo.navsim.images import read_image
from wotempo.navsim.logs import read_log
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import NUM_FUTURE, NUM_HISTORY, STITCHED_CAMERAS, Frame, Scene
from wotempo.navsim.twins import Pair, read_twins

KINDS = ("lead", "kerb", "permanence")
CONFIG = TwinConfig(SplitSize(6, 1), SplitSize(0, 0), SplitSize(0, 0), frames=14, kinds=KINDS)
EGO = ("pose", "velocity", "acceleration", "yaw_rate", "command", "timestamp_us", "roadblock_ids", "traffic_lights")
SPEC = FeatureSpec()


@dataclass(frozen=True)
class Town:
    root: Path
    pairs: dict[str, Pair]  # by kind
    scenes: dict[str, Scene]  # by token

    def members(self, kind: str) -> tuple[Scene, Scene]:
        first, second = self.pairs[kind].tokens
        return self.scenes[first], self.scenes[second]

    def blobs(self, scene: Scene) -> Path:
        return self.root / "sensor_blobs" / scene.log.split


def read(root: Path) -> Town:
    twins = read_twins(root)
    assert twins is not None
    assert twins.town == CONFIG.fingerprint
    scenes = {}
    for plan in plan_logs(CONFIG):
        log = read_log(root / "navsim_logs" / plan.folder / f"{plan.identity.name}.pkl", plan.folder)
        (scene,) = find_scenes([log], SceneFilter(require_full_history=False))  # a log is one scene
        scenes[scene.token] = scene
    return Town(root, {pair.kind: pair for pair in twins.pairs}, scenes)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    root = tmp_path_factory.mktemp("twins") / "town"
    build_city(root, CONFIG)
    return read(root)


def differences(first: tuple[Frame, Path], second: tuple[Frame, Path]) -> list[str]:
    """What of two frames a planner could tell apart: the files' bytes, and every value that becomes its input."""
    (a, here), (b, there) = first, second
    found = [name for name in EGO if not np.array_equal(getattr(a, name), getattr(b, name))]
    files = zip(("left", "front", "right", "lidar"), a.sensor_files, b.sensor_files, strict=True)
    found += [name for name, x, y in files if (here / x).read_bytes() != (there / y).read_bytes()]
    inputs = [_inputs(frame, blobs) for frame, blobs in (first, second)]
    return found + [name for name in inputs[0] if not np.array_equal(inputs[0][name], inputs[1][name])]


def _inputs(frame: Frame, blobs: Path) -> dict[str, np.ndarray]:
    images = {name: read_image(blobs / frame.cameras[name].path) for name in STITCHED_CAMERAS}
    return {
        "camera input": camera_feature(images, SPEC),
        "lidar input": lidar_feature(read_pcd(blobs / frame.lidar_path), SPEC),
        "status input": np.asarray(status_feature(frame)),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_current_frames_are_one(town: Town, kind: str) -> None:
    a, b = town.members(kind)
    assert differences((a.current, town.blobs(a)), (b.current, town.blobs(b))) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_past_of_the_ego_is_one_and_the_histories_differ_where_it_shows(town: Town, kind: str) -> None:
    a, b = town.members(kind)
    for x, y in zip(a.history, b.history, strict=True):
        assert x is not None
        assert y is not None
        assert [name for name in EGO if not np.array_equal(getattr(x, name), getattr(y, name))] == []
    shown = [
        {"lidar", "lidar input"} <= set(differences((x, town.blobs(a)), (y, town.blobs(b))))
        for x, y in zip(a.history[:-1], b.history[:-1], strict=True)
        if x is not None and y is not None
    ]
    assert any(shown)


def test_a_planted_difference_is_found(town: Town, tmp_path: Path) -> None:
    a, b = town.members("lead")
    late = replace(b.current, acceleration=b.current.acceleration + 0.01)
    found = differences((a.current, town.blobs(a)), (late, town.blobs(b)))
    assert found == ["acceleration", "status input"]
    for path in b.current.sensor_files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((town.blobs(b) / path).read_bytes())
    (tmp_path / b.current.sensor_files[1]).write_bytes((town.blobs(b) / b.history[0].sensor_files[1]).read_bytes())  # type: ignore[union-attr]
    found = differences((a.current, town.blobs(a)), (b.current, tmp_path))
    assert found == ["front", "camera input"]


def test_names_reach_no_input(town: Town) -> None:
    scene, blobs = town.members("kerb")[0], town.blobs(town.members("kerb")[0])
    names = replace(scene.current, token="0" * 16, log_name="x", log_token="y", scene_name="z", scene_token="w")
    assert differences((scene.current, blobs), (names, blobs)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_agent_is_in_one_place_now_and_elsewhere_before(town: Town, kind: str) -> None:
    pair = town.pairs[kind]
    tracks = [_track(town.scenes[token], agents) for token, agents in zip(pair.tokens, pair.agents, strict=True)]
    assert len(town.scenes[pair.tokens[0]].future) == NUM_FUTURE
    if kind == "permanence":
        assert sorted(map(len, pair.agents)) == [0, 1]  # somebody, or nobody
        return
    now = NUM_HISTORY - 1
    assert np.array_equal(tracks[0][now], tracks[1][now])
    apart = np.hypot(*(tracks[0][0] - tracks[1][0])[:2])
    assert apart >= 1.5
    speed = [np.hypot(*np.diff(track[:, :2], axis=0).T) / 0.5 for track in tracks]
    assert max(np.abs(np.diff(each)).max() for each in speed) < 8.0 * 0.5  # m/s² that a vehicle can brake with


def _track(scene: Scene, agents: tuple[str, ...]) -> np.ndarray:
    """(14, 3) global places of the agent in all frames."""
    rows = []
    for frame in [*scene.history, *scene.future]:
        assert frame is not None
        assert frame.boxes is not None
        for box, token in zip(frame.boxes.boxes, frame.boxes.track_tokens, strict=True):
            if token in agents:
                back = relative_to(relative_to(frame.pose, np.zeros(3)), box[[0, 1, 6]])
                rows.append(back)
    return np.array(rows)


def test_what_is_whole_is_not_made_anew_and_a_lost_list_comes_out_the_same(town: Town) -> None:
    (block,) = plan_blocks(CONFIG)
    path = part_path(town.root, block)
    before, logs = path.read_bytes(), sorted((town.root / "navsim_logs").rglob("*.pkl"))
    stamps = [log.stat().st_mtime_ns for log in logs]
    lost = logs[0].read_bytes()
    path.unlink()
    make_block(town.root, CONFIG, block)
    assert path.read_bytes() == before
    assert [log.stat().st_mtime_ns for log in logs] == stamps
    assert logs[0].read_bytes() == lost


@pytest.mark.parametrize("preset", ["twins", "twins_micro"])
def test_kinds_are_balanced_and_splits_share_no_district(preset: str) -> None:
    config = city_config(preset)
    assert isinstance(config, TwinConfig)
    districts: dict[str, set[int]] = {}
    for split in ("train", "val", "test"):
        blocks = [block for block in plan_blocks(config) if block.split == split]
        counts = Counter(kind for block in blocks for kind in kinds_of(config, block))
        assert len(set(counts.values())) == 1
        assert set(counts) == set(config.kinds)
        districts[split] = {plan.district for block in blocks for plan in block.plans}
    assert sum(map(len, districts.values())) == len(set.union(*districts.values()))


def test_a_block_keeps_to_one_district() -> None:
    config = city_config("twins")
    assert isinstance(config, TwinConfig)
    for block in plan_blocks(config):
        assert len({plan.district for plan in block.plans}) == 1


def test_the_list_of_a_block_is_plain(town: Town) -> None:
    (block,) = plan_blocks(CONFIG)
    assert {entry["split"] for entry in json.loads(part_path(town.root, block).read_bytes())} == {"train"}
