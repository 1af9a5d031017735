"""The picture of a sample: one file each, with the features of history where there is history."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt

from wotempo.report.pictures.scene_picture import SAMPLE_FIELDS, draw_samples


def samples(count: int, frames: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    feature = rng.random((count, frames, 8, 8))
    feature[0, : frames - 1] = np.nan  # no history
    line = np.cumsum(rng.random((count, 8, 3)), 1)
    return {
        "token": np.array([f"t{i}" for i in range(count)]),
        "camera": rng.integers(0, 255, (count, 16, 64, 3), dtype=np.uint8),
        "lidar": rng.random((count, frames, 32, 32)),
        "warped": rng.random((count, frames, 32, 32)),
        "feature": feature,
        "feature_warped": np.where(rng.random(feature.shape) > 0.8, np.nan, feature),
        "valid": ~np.isnan(feature).all((2, 3)),
        "bev_truth": rng.integers(0, 8, (count, 128, 256), dtype=np.uint8),
        "bev_predicted": rng.integers(0, 8, (count, 128, 256), dtype=np.uint8),
        "expert": line,
        "plan": line + 0.5,
        "all_trajectory": line[:, None] + rng.random((count, 5, 1, 3)),
        "final_rewards": rng.random((count, 5)),
    }


@pytest.mark.parametrize("frames", [1, 4])
def test_a_file_of_samples_is_drawn(tmp_path, monkeypatch, frames):
    data = samples(2, frames)
    assert set(data) == set(SAMPLE_FIELDS)
    np.savez(tmp_path / "samples.npz", **data)
    titles: list[list[str]] = []
    close = plt.close

    def look(figure) -> None:
        titles.append([axes.get_title() for axes in figure.axes])
        close(figure)

    monkeypatch.setattr(plt, "close", look)
    drawn = draw_samples(tmp_path / "samples.npz", tmp_path / "pictures")
    assert [path.name for path in drawn] == ["t0.png", "t1.png"]
    assert all(path.stat().st_size > 10_000 for path in drawn)
    features = [title for title in titles[1] if title.startswith("features")]
    assert len(features) == (8 if frames == 4 else 0)
    if frames == 4:
        assert features[0] == "features as recorded, 3 frames ago"
        assert features[-1] == "features warped onto now, now"
