"""What `drive` refuses before it loads anything, and how it tells two sets of plans apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose

from wotempo.commands import drive
from wotempo.config.composition import loaded
from wotempo.errors import UserError


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "give checkpoint="),
        (["checkpoint=nowhere.ckpt"], r"no checkpoint nowhere\.ckpt"),
        (["checkpoint=pyproject.toml", "split=tset"], "train, val or test"),
        (["checkpoint=pyproject.toml", "+treads=2"], "'threads'"),
    ],
)
def test_bad_overrides(overrides, message, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    with loaded():
        config = compose("drive", overrides=["run_dir=unset", *overrides])
    with pytest.raises(UserError, match=message):
        drive.check(config)


def test_plans_are_compared_scene_by_scene(monkeypatch):
    scenes = [SimpleNamespace(token="a", log=SimpleNamespace(name="x")), SimpleNamespace(token="b")]
    monkeypatch.setattr(drive, "human_poses", lambda scene: np.zeros((8, 3)))
    ahead = np.zeros((8, 3))
    ahead[:, 0] = np.arange(1, 9)
    turned = ahead + np.array([0.0, 0.0, 1.0])  # heading is no distance
    moved = ahead.copy()
    moved[-1, 1] = 0.5
    streamed, windowed = {"a": ahead, "b": ahead}, {"b": moved, "a": turned}
    errors, apart = drive.compare(scenes, streamed, windowed)
    np.testing.assert_allclose(apart, [0.0, 0.5])
    assert errors["streamed"] == pytest.approx((4.5, 8.0))
    assert errors["windowed"][1] == pytest.approx((8 + np.hypot(8, 0.5)) / 2)
