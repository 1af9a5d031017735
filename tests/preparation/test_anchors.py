"""Anchors that are made here belong to the content of the logs they are made from."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from navsim_builders import make_log

from wotempo.navsim import DataPaths, SceneFilter, find_scenes
from wotempo.navsim.index.logs import index_logs
from wotempo.navsim.log_writer import write_log
from wotempo.preparation.anchors import anchors_file, anchors_of


def test_anchors_of_a_replaced_log_are_made_anew(tmp_path) -> None:
    data = SimpleNamespace(anchors=None)
    dataset: Any = SimpleNamespace(data=data, workspace=str(tmp_path / "w"), extra_drives=0)
    paths, file = DataPaths(tmp_path, tmp_path / "maps"), tmp_path / "drive.pkl"
    frames = make_log(np.arange(30) * 0.5, name="drive").frames
    found = []
    for shift in (0.0, 0.2, 0.0):
        write_log(file, [replace(f, pose=f.pose * (1 + shift)) for f in frames])
        scenes = find_scenes(index_logs([file], "mini", tmp_path / "cache"), SceneFilter())
        anchors = anchors_of(dataset, paths, scenes, 2, lambda *_: None)
        found.append((anchors_file(dataset, paths, scenes, 2), anchors, [scene.token for scene in scenes]))
    (before, first, tokens), (changed, second, same_tokens), (restored, third, _) = found
    assert tokens == same_tokens
    assert before == restored != changed
    np.testing.assert_array_equal(first, third)
    assert (first != second).any()
