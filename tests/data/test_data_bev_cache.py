"""Maps of a frozen encoder: made once per frame and weights, and in batches in place of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tiny_dataset import SPEC, SPLIT

from wotempo.data import FrameCache, FrameRef, WindowCollator, window_frames
from wotempo.data.bev_cache import BevCache
from wotempo.data.dataset import WindowDataset


@dataclass
class Sums:
    """An "encoder" whose maps say which frame they are of."""

    fingerprint: str = "a"
    shape: tuple[int, int, int] = (2, 1, 3)
    calls: int = 0

    def __call__(self, camera: np.ndarray, lidar: np.ndarray) -> np.ndarray:
        self.calls += 1
        sums = np.array([camera.sum(), lidar.sum()], np.float32)
        return np.broadcast_to(sums[:, None, None], self.shape)


def test_maps_are_made_once_and_follow_frames_and_weights(dataset, scenes, tmp_path):
    frames = FrameCache(tmp_path, dataset, SPEC)
    windows = [window_frames(scene, 4) for scene in scenes]
    refs = list({r.record: r for w in windows for f in w if f is not None for r in [FrameRef(SPLIT, f)]}.values())
    frames.build(refs)
    encoder = Sums()
    bev = BevCache(tmp_path, frames, encoder)
    assert bev.build([*refs, *refs]).built == encoder.calls == len(refs)  # shared frames once
    assert bev.build(refs).reused == encoder.calls == len(refs)
    other = Sums("b")
    assert BevCache(tmp_path, frames, other).build(refs[:3]).built == other.calls == 3

    plain = WindowDataset(scenes, frames, num_frames=4)
    cached = WindowDataset(scenes, frames, num_frames=4, bev=bev)
    images, maps, both = (
        WindowCollator(d, images=i)([d[k] for k in range(len(scenes))])
        for d, i in ((plain, False), (cached, False), (cached, True))
    )
    assert "camera" not in maps
    assert "bev" not in both
    assert torch.equal(both["camera"], images["camera"])
    assert torch.equal(maps["lidar"], images["lidar"])
    assert torch.equal(maps["frame_index"], images["frame_index"])
    expected = torch.stack((images["camera"].flatten(1).sum(1), images["lidar"].flatten(1).sum(1)), 1).float()
    assert torch.equal(maps["bev"], expected[:, :, None, None].expand(-1, -1, 1, 3))
