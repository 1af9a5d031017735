"""Frame by frame through the planner is window by window through the data code, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from official_weights import SMALL
from streams import encoded_one_by_one
from tiny_dataset import SENSOR_FRAMES, SPEC, SPLIT, read_scenes, write_dataset

from wotempo.data import FrameCache, FrameRef, WindowCollator
from wotempo.data.dataset import WindowDataset
from wotempo.features import status_feature
from wotempo.fusion import STAGES, TemporalFusion, build_fusion
from wotempo.navsim.schema import DataPaths, Log, Scene
from wotempo.planners.wote.wote import WoTE
from wotempo.streaming.frames import StreamFrames
from wotempo.streaming.planner import StreamingPlanner

T = 4
CONFIG = replace(SMALL, image_height=SPEC.image_height, image_width=SPEC.image_width, image_tokens=(1, 4))


# A stage with a ``step`` of its own carries more than a window: it equals its own unrolled form (tests/fusion).
BY_RING_BUFFER = [name for name, stage in STAGES.items() if stage.step is TemporalFusion.step]


@pytest.fixture(params=BY_RING_BUFFER)
def model(request) -> WoTE:
    """Every parameter random: fresh, the stages do nothing."""
    torch.manual_seed(0)
    options = {} if request.param == "none" else {"num_frames": T}
    anchors = torch.randn(CONFIG.num_anchors, CONFIG.num_poses, 3) * 5
    fusion = build_fusion(request.param, CONFIG.bev_channels, CONFIG.bev_grid, **options)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return WoTE(CONFIG, anchors, fusion).eval()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> DataPaths:
    return write_dataset(tmp_path_factory.mktemp("navsim"))


@pytest.fixture(scope="module")
def scenes(dataset) -> list[Scene]:
    return read_scenes(dataset)


@pytest.fixture(scope="module")
def caches(dataset, scenes, tmp_path_factory) -> Callable[[set], FrameCache]:
    """``caches(without)``: features of every frame with sensors but those (log, index)."""

    def make(without: set) -> FrameCache:
        cache = FrameCache(tmp_path_factory.mktemp("cache"), dataset, SPEC)
        logs = {scene.log.name: scene.log for scene in scenes}.values()
        cache.build(
            FrameRef(SPLIT, frame)
            for log in logs
            for i, frame in enumerate(log.frames[:SENSOR_FRAMES])
            if (log.name, i) not in without
        )
        return cache

    return make


def replay(planner: StreamingPlanner, log: Log, cache: FrameCache) -> tuple[dict, dict]:
    """token -> plan, and token -> reason of a reset; frames that are not cached are dropped frames."""
    found, resets = {}, {}
    for frame in log.frames[:SENSOR_FRAMES]:
        ref = FrameRef(SPLIT, frame)
        here = bool(cache.has([ref])[0])
        record = cache.reader([ref]).read(0) if here else np.full((), 255, cache.store.dtype)
        pushed = StreamFrames(
            camera=torch.tensor(record["camera"])[None],
            lidar=torch.tensor(record["lidar"])[None],
            pose=torch.tensor(frame.pose if here else np.full(3, np.nan))[None],
            timestamp_us=torch.tensor([frame.timestamp_us]),
            status=torch.tensor(status_feature(frame))[None],
            present=torch.tensor([here]),
        )
        plans = planner.push(pushed)
        found[frame.token] = plans.trajectory[0]
        if plans.resets[0]:
            resets[frame.token] = plans.resets[0]
    return found, resets


def windowed(model: WoTE, scenes: list[Scene], cache: FrameCache) -> dict[str, torch.Tensor]:
    """token -> plan of one window at a time."""
    dataset = WindowDataset(scenes, cache, num_frames=T, frame_stride=model.fusion.frame_stride, mask_missing=True)
    collate, found = WindowCollator(dataset), {}
    for i in range(len(dataset)):
        batch = collate([dataset[i]])
        bev = encoded_one_by_one(model, batch["camera"], batch["lidar"])
        with torch.no_grad():
            plan = model.select(model.fuse(bev, batch), batch["status"])["trajectory"][0]
            at_once = model.plan(batch)["trajectory"][0]
        torch.testing.assert_close(plan, at_once, atol=1e-4, rtol=0)
        found[batch["tokens"][0]] = plan
    return found


@pytest.mark.parametrize(
    "without", [set(), {("straight", 2), ("straight", 5), ("straight", 6), ("gap", 3), ("gap", 6)}], ids=["all", "some"]
)
def test_replayed_logs_equal_their_windows(model, scenes, caches, without):
    """A log's begin, its gap of two seconds, and frames whose sensors are missing in the middle of windows."""
    compare(model, scenes, caches(without), without)


@pytest.mark.parametrize("stride", [2, 3])
def test_a_stride_is_the_one_of_the_windows(scenes, caches, stride):
    """Frames go missing at every phase; a stride that the planner ignored would show other frames."""
    torch.manual_seed(0)
    fusion = build_fusion("concat", CONFIG.bev_channels, CONFIG.bev_grid, T, frame_stride=stride)
    torch.nn.init.normal_(fusion.project.weight, std=0.3)
    model = WoTE(CONFIG, torch.randn(CONFIG.num_anchors, CONFIG.num_poses, 3) * 5, fusion).eval()
    for without in (set(), {("straight", 2), ("straight", 3), ("gap", 7)}):
        compare(model, scenes, caches(without), without)


def compare(model: WoTE, scenes: list[Scene], cache: FrameCache, without: set) -> None:
    scenes = [scene for scene in scenes if (scene.log.name, scene.index) not in without]
    expected = windowed(model, scenes, cache)
    compared = 0
    for log in {scene.log.name: scene.log for scene in scenes}.values():
        streamed, resets = replay(StreamingPlanner(model), log, cache)
        for token in streamed.keys() & expected.keys():
            assert torch.equal(streamed[token], expected[token])
            compared += 1
        for i, frame in enumerate(log.frames[:SENSOR_FRAMES]):
            assert bool(streamed[frame.token].isnan().all()) == ((log.name, i) in without)
        assert list(resets) == ([log.frames[5].token] if log.name == "gap" else [])
    assert compared == len(scenes) == len(expected)
