"""LiDAR histories in the current axes: points moved by hand, missing frames, and what makes a stack anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_dataset import SPEC, SPLIT

from wotempo.data import FrameCache, FrameRef, WindowCollator, window_frames
from wotempo.data.dataset import WindowDataset
from wotempo.data.stack_cache import StackCache
from wotempo.errors import UserError
from wotempo.features import lidar_feature
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.schema import Log


def to_global(pose, points):
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return pose[0] + c * points[0] - s * points[1], pose[1] + s * points[0] + c * points[1]


def by_hand(dataset, frame, current) -> np.ndarray:
    """Points to the world and from there into the current frame."""
    points = read_pcd(dataset.blob_dir(SPLIT) / frame.lidar_path)
    x, y = to_global(frame.pose, points[:2].astype(np.float64))
    x, y = x - current.pose[0], y - current.pose[1]
    c, s = np.cos(current.pose[2]), np.sin(current.pose[2])
    points[0], points[1] = c * x + s * y, c * y - s * x
    return lidar_feature(points, SPEC)


def make(dataset, scenes, root, num_frames, stride, mask=False) -> tuple[StackCache, WindowDataset]:
    frames, stacks = FrameCache(root, dataset, SPEC), StackCache(root, dataset, SPEC, num_frames, stride)
    windows = [window_frames(scene, num_frames, stride) for scene in scenes]
    refs = [FrameRef(SPLIT, frame) for window in windows for frame in window if frame is not None]
    frames.build((), refs) if mask else frames.build(refs)
    stacks.build(scenes)
    return stacks, WindowDataset(scenes, frames, None, None, None, num_frames, stride, mask, stacks=stacks)


@pytest.mark.parametrize(("num_frames", "stride"), [(4, 1), (3, 2), (8, 1)])
def test_a_stack_is_its_points_moved_by_hand(dataset, scenes, cache_root, num_frames, stride):
    _, windows = make(dataset, scenes, cache_root, num_frames, stride)
    batch = WindowCollator(windows)([windows[i] for i in range(len(scenes))])
    stack = batch["lidar_stack"]
    assert stack.dtype == torch.uint8
    assert stack.shape == (len(scenes), num_frames, 1, *SPEC.lidar_grid.shape)
    assert torch.equal(batch["lidar_stack_pose"], batch["pose"])
    for row, scene in enumerate(scenes):
        for column, frame in enumerate(window_frames(scene, num_frames, stride)):
            if frame is None:
                assert not stack[row, column].any()
                continue
            expected = by_hand(dataset, frame, scene.current)
            # Rounding may put a point that lies on an edge into the neighbour.
            assert np.count_nonzero(stack[row, column, 0].numpy() != expected) <= 4
    current = batch["lidar"][batch["frame_index"][:, -1]]
    assert torch.equal(stack[:, -1], current)  # bit for bit: the single-frame input


def test_a_masked_frame_is_blank(dataset, scenes, tmp_path):
    """Its cloud is there, its image is not: the window must not see half a frame."""
    _, windows = make(dataset, scenes, tmp_path, 4, 1)
    number = next(i for i, scene in enumerate(scenes) if scene.log.name == "straight" and scene.index == 5)
    item = windows[number]
    item["valid"] = np.array([True, False, True, True])
    assert item["lidar_stack"]["lidar"][1].any()
    stack = WindowCollator(windows)([item])["lidar_stack"]
    assert stack.flatten(2).any(-1).tolist() == [[True, False, True, True]]


def test_history_whose_cloud_is_gone_is_not_blank_history(dataset, scenes, tmp_path):
    _, windows = make(dataset, scenes, tmp_path, 4, 1)
    item = dict(windows[5])
    assert item["valid"].all()
    record = item["lidar_stack"].copy()
    record["shown"][1] = False
    with pytest.raises(UserError, match="LiDAR file is gone"):
        WindowCollator(windows)([{**item, "lidar_stack": record}])


def test_a_stack_is_made_anew_when_its_poses_change(dataset, scenes, tmp_path):
    stacks = StackCache(tmp_path, dataset, SPEC, 4, 1)
    straight = [scene for scene in scenes if scene.log.name == "straight"]
    assert stacks.build(straight).built == len(straight)
    assert stacks.build(straight).built == 0
    frames = list(straight[0].log.frames)
    frames[3] = replace(frames[3], pose=frames[3].pose + np.array([0.0, 0.0, 0.01]))
    log = Log("straight", SPLIT, frames)
    report = stacks.build([replace(scene, log=log) for scene in straight])
    assert report.built == 4  # frame 3 with its own history, and as history of frames 4, 5 and 6
