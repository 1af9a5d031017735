"""Windows and batches: order, gaps, motion, and that packing shared frames changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_dataset import SPEC, SPLIT, TARGETS, make_frame

from wotempo.data import FrameCache, FrameRef, WindowCollator, require_history, window_frames
from wotempo.data.dataset import WindowDataset
from wotempo.data.target_cache import TargetCache
from wotempo.data.window import window_motion, window_places
from wotempo.errors import UserError
from wotempo.features import camera_feature, lidar_feature, status_feature
from wotempo.geometry import compose
from wotempo.maps import read_map
from wotempo.navsim.images import read_image
from wotempo.navsim.logs import read_log
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import STITCHED_CAMERAS, Frame, Log, Scene
from wotempo.navsim.scores import ScoreTable
from wotempo.targets import (
    agent_target,
    bev_map_target,
    future_base_map,
    paint_ego,
    sampled_anchors,
    trajectory_target,
)


@pytest.fixture(scope="module")
def caches(dataset, scenes, tmp_path_factory) -> tuple[FrameCache, TargetCache]:
    root = tmp_path_factory.mktemp("cache")
    frames, targets = FrameCache(root, dataset, SPEC), TargetCache(root, dataset, TARGETS)
    frames.build(FrameRef(SPLIT, f) for scene in scenes for f in window_frames(scene, 8) if f is not None)
    targets.build(scenes)
    return frames, targets


@pytest.fixture(scope="module")
def make_dataset(scenes, caches, labels, anchors):
    def make(num_frames: int, frame_stride: int = 1) -> WindowDataset:
        frames, targets = caches
        return WindowDataset(scenes, frames, targets, ScoreTable.open(labels), anchors, num_frames, frame_stride)

    return make


@pytest.fixture(scope="module")
def raw_features(dataset):
    """Frame -> features straight from its files."""

    loaded: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    blobs = dataset.blob_dir(SPLIT)

    def load(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        if frame.token not in loaded:
            images = {name: read_image(blobs / frame.cameras[name].path) for name in STITCHED_CAMERAS}
            cloud = read_pcd(blobs / frame.lidar_path)
            loaded[frame.token] = camera_feature(images, SPEC), lidar_feature(cloud, SPEC)
        return loaded[frame.token]

    return load


def collate(dataset: WindowDataset, positions, epoch: int = 0) -> dict:
    return WindowCollator(dataset)([dataset[(i, epoch)] for i in positions])


@pytest.mark.parametrize(("num_frames", "stride"), [(1, 1), (2, 1), (4, 1), (8, 1), (2, 3), (4, 2)])
def test_batch_equals_naive_loading_of_every_window(
    dataset, scenes, make_dataset, raw_features, labels, anchors, num_frames, stride
):
    windows = make_dataset(num_frames, stride)
    positions = np.random.default_rng(0).permutation(len(scenes))
    batch = collate(windows, positions, epoch=3)
    table = ScoreTable.open(labels)
    city = read_map(dataset.maps, scenes[0].current.map_location)
    seen = set()
    for row, position in enumerate(positions):
        scene = scenes[position]
        log = scene.log.frames
        for column in range(num_frames):
            back = (num_frames - 1 - column) * stride
            frame = log[scene.index - back] if scene.index >= back else None
            if frame is not None:  # walk back to the frame: no step may be a gap
                times = [log[i].timestamp_us for i in range(scene.index - back, scene.index + 1)]
                frame = frame if (np.diff(times) <= 550_000).all() else None
            assert batch["valid"][row, column] == (frame is not None)
            assert batch["frame_tokens"][row][column] == (None if frame is None else frame.token)
            slot = batch["frame_index"][row, column]
            if frame is None:
                assert slot == batch["frame_index"][row, -1]
                assert not batch["pose"][row, column].any()
                assert batch["dt"][row, column] == 0
                assert batch["timestamp_us"][row, column] == 0
                assert batch["speed"][row, column] == 0
                continue
            seen.add(frame.token)
            camera, lidar = raw_features(frame)
            np.testing.assert_array_equal(batch["camera"][slot].permute(1, 2, 0), camera)
            np.testing.assert_array_equal(batch["lidar"][slot, 0], lidar)
            assert batch["timestamp_us"][row, column] == frame.timestamp_us
            np.testing.assert_allclose(batch["dt"][row, column], 0.5 * back, rtol=1e-6)
            np.testing.assert_allclose(batch["speed"][row, column], np.hypot(6.0, 0.5), rtol=1e-6)
            there = compose(scene.current.pose, batch["pose"][row, column].double().numpy())
            np.testing.assert_allclose(there, frame.pose, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(batch["status"][row], status_feature(scene.current))
        np.testing.assert_array_equal(batch["trajectory"][row], trajectory_target(scene))
        states, present = agent_target(scene.current, TARGETS)
        np.testing.assert_array_equal(batch["agent_states"][row], states)
        np.testing.assert_array_equal(batch["agent_labels"][row], present)
        np.testing.assert_array_equal(batch["bev_map"][row], bev_map_target(scene, city, TARGETS))
        drawn = sampled_anchors(scene.token, 3, len(anchors), 1)
        np.testing.assert_array_equal(batch["sampled_anchor"][row], drawn)
        future = paint_ego(future_base_map(scene, city, TARGETS), anchors[drawn, -1], TARGETS)
        np.testing.assert_array_equal(batch["future_map"][row], future)
        np.testing.assert_array_equal(batch["sim_reward"][row], table.scores(scene.token))
    assert batch["tokens"] == [scenes[i].token for i in positions]
    assert len(batch["camera"]) == len(batch["lidar"]) == len(seen)  # every frame once


def test_dtypes_are_the_contract(make_dataset):
    batch = collate(make_dataset(4), range(3))
    expected = {
        "uint8": {"camera", "lidar", "bev_map", "future_map"},
        "int64": {"frame_index", "timestamp_us", "sampled_anchor"},
        "bool": {"valid", "agent_labels", "imitation"},
        "float32": {"pose", "dt", "speed", "status", "trajectory", "agent_states", "sim_reward"},
    }
    found: dict[str, set] = {}
    for name, value in batch.items():
        if isinstance(value, torch.Tensor):
            found.setdefault(str(value.dtype).removeprefix("torch."), set()).add(name)
    assert found == expected


def test_oldest_first_current_last_driving_forward(scenes, make_dataset):
    batch = collate(make_dataset(4), [i for i, scene in enumerate(scenes) if None not in window_frames(scene, 4)])
    assert batch["valid"].all()
    assert (batch["pose"][:, :-1, 0].diff(dim=1) > 0).all()
    assert (batch["pose"][:, :-1, 0] < 0).all()  # the past lies behind
    assert (batch["timestamp_us"].diff(dim=1) > 0).all()
    assert (batch["dt"].diff(dim=1) < 0).all()
    assert not batch["dt"][:, -1].any()
    assert not batch["pose"][:, -1].any()
    assert [window[-1] for window in batch["frame_tokens"]] == batch["tokens"]


LONG = np.arange(30) * 0.5 + 3.0 * (np.arange(30) >= 12)  # seconds: a gap before frame 12


@pytest.mark.parametrize(
    ("num_frames", "stride", "current", "indices"),
    [
        (8, 1, 9, [2, 3, 4, 5, 6, 7, 8, 9]),
        (8, 1, 2, [None] * 5 + [0, 1, 2]),  # the log's begin
        (8, 1, 15, [None] * 4 + [12, 13, 14, 15]),  # behind the gap
        (8, 1, 19, [12, 13, 14, 15, 16, 17, 18, 19]),  # as far as the gap
        (8, 1, 20, [13, 14, 15, 16, 17, 18, 19, 20]),
        (4, 2, 9, [3, 5, 7, 9]),
        (4, 2, 3, [None, None, 1, 3]),
        (4, 2, 15, [None, None, 13, 15]),  # 11 lies behind the gap, though it is two frames back
        (2, 2, 12, [None, 12]),
        (2, 2, 13, [None, 13]),
        (8, 2, 29, [15, 17, 19, 21, 23, 25, 27, 29]),
    ],
)
def test_long_and_strided_windows(num_frames, stride, current, indices):
    log = Log("long", SPLIT, [make_frame("long", i, time_s) for i, time_s in enumerate(LONG)])
    window = window_frames(Scene(log, current), num_frames, stride)  # a scene's own num_history (4) is no limit
    assert [None if frame is None else frame.frame_idx for frame in window] == indices
    motion = window_motion(log, window_places(log, np.array([current]), num_frames, stride))[0]
    for place, index in enumerate(indices):
        if index is None:
            assert not motion["pose"][place].any()
            assert motion["dt"][place] == motion["timestamp_us"][place] == motion["speed"][place] == 0
            continue
        past, now = log.frames[index], log.frames[current]
        np.testing.assert_allclose(motion["dt"][place], LONG[current] - LONG[index], rtol=1e-6)
        assert motion["timestamp_us"][place] == past.timestamp_us
        np.testing.assert_allclose(compose(now.pose, motion["pose"][place].astype(float)), past.pose, atol=2e-6)
        way = past.pose[:2] - now.pose[:2]
        forward = np.array([np.cos(now.pose[2]), np.sin(now.pose[2])])
        np.testing.assert_allclose(motion["pose"][place, 0], way @ forward, atol=1e-5)


def test_a_history_that_no_log_holds_is_refused():
    log = Log("long", SPLIT, [make_frame("long", i, time_s) for i, time_s in enumerate(LONG)])
    scenes = [Scene(log, i) for i in range(20)]
    require_history(scenes, 12, 1, "train")
    with pytest.raises(UserError, match=r"num_frames is 13 .*stride 1.* train has more than 12 .*num_frames=12"):
        require_history(scenes, 13, 1, "train")
    require_history(scenes, 6, 2, "train")
    with pytest.raises(UserError, match=r"num_frames is 7 .*stride 2.* more than 6 "):
        require_history(scenes, 7, 2, "train")


@pytest.mark.shared
def test_order_on_the_golden_drives(shared_dir):
    root = shared_dir / "golden/navsim/navsim_logs/golden"
    logs = [read_log(path, "golden") for path in sorted(root.iterdir())]
    for scene in find_scenes(logs, SceneFilter()):
        window = window_frames(scene, 4)
        assert [frame.token for frame in window] == [
            f.token for f in scene.log.frames[scene.index - 3 : scene.index + 1]
        ]
        motion = window_motion(scene.log, window_places(scene.log, np.array([scene.index]), 4))[0]
        assert window[-1].token == scene.token
        np.testing.assert_allclose(motion["dt"], [1.5, 1.0, 0.5, 0.0], atol=1e-6)
        assert not motion["pose"][-1].any()
        # Integrating the speed backwards arrives where the pose says, roughly: the drives curve and brake.
        assert np.linalg.norm(motion["pose"][0, :2]) == pytest.approx(motion["speed"].mean() * 1.5, abs=1.5)


def test_a_gap_ends_the_history(scenes, make_dataset):
    first_after = next(i for i, scene in enumerate(scenes) if scene.log.name == "gap" and scene.index == 5)
    batch = collate(make_dataset(4), [first_after, first_after + 1, first_after - 1])
    np.testing.assert_array_equal(
        batch["valid"], [[False, False, False, True], [False, False, True, True], [True, True, True, True]]
    )


def test_one_frame_loads_only_current_frames(scenes, make_dataset):
    batch = collate(make_dataset(1), range(6))
    assert len(batch["camera"]) == 6
    assert batch["valid"].all()
    assert batch["pose"].shape == (6, 1, 3)


def test_inputs_only(scenes, caches):
    dataset = WindowDataset(scenes, caches[0], num_frames=4)
    batch = collate(dataset, range(4))
    assert not {"trajectory", "bev_map", "sim_reward", "future_map", "sampled_anchor"} & batch.keys()
    assert {"camera", "status", "tokens", "pose"} <= batch.keys()


def test_history_that_is_not_cached_is_refused_or_masked(dataset, scenes, tmp_path):
    frames = FrameCache(tmp_path, dataset, SPEC)
    frames.build(FrameRef(SPLIT, scene.current) for scene in scenes[4:])
    with pytest.raises(UserError, match="lacks"):
        WindowDataset(scenes[4:], frames, num_frames=4)
    masked = WindowDataset(scenes[4:8], frames, num_frames=4, mask_missing=True)
    np.testing.assert_array_equal(masked.valid, np.tri(4, 4, dtype=bool)[:, ::-1])
    assert (masked.window_motion["pose"][~masked.valid] == 0).all()
    with pytest.raises(UserError, match="lacks"):  # a current frame is never masked
        WindowDataset(scenes[2:6], frames, num_frames=4, mask_missing=True)


def test_several_sampled_anchors(dataset, scenes, caches, anchors, tmp_path):
    several = TargetCache(caches[1].store.root.parent, dataset, replace(TARGETS, num_sampled=3))
    windows = WindowDataset(scenes, caches[0], several, None, anchors)
    batch = collate(windows, range(2))
    assert batch["sampled_anchor"].shape == (2, 3)
    assert batch["future_map"].shape == (2, 3, 128, 256)
    assert "sim_reward" not in batch
    egos = [(batch["future_map"][0, i] == 7).nonzero().float().mean(0) for i in range(3)]
    assert not torch.equal(egos[0], egos[1])
