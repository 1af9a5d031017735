"""The picture of a sample: one file each, with the features of history where there is history."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scene_samples import samples

from wotempo.report.pictures.scene_picture import SAMPLE_FIELDS, draw_samples


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


def test_a_planner_that_does_not_choose_is_drawn_without_the_others(tmp_path, monkeypatch):
    chosen = ("all_trajectory", "final_rewards")
    data = {name: value for name, value in samples(1, 1).items() if name not in chosen}
    np.savez(tmp_path / "samples.npz", **data)
    titles: list[str] = []
    close = plt.close
    monkeypatch.setattr(plt, "close", lambda figure: (titles.extend(a.get_title() for a in figure.axes), close(figure)))
    assert len(draw_samples(tmp_path / "samples.npz", tmp_path / "pictures")) == 1
    assert "the plan, the expert" in titles
    assert not any("score" in title for title in titles)
