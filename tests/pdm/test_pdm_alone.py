"""All anchors scored at once have the scores that an evaluation gives each of them."""

from __future__ import annotations

import numpy as np

from wotempo.maps import read_map
from wotempo.navsim.logs import read_log
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.pdm.alone import score_alone
from wotempo.pdm.evaluation import evaluate_scenes
from wotempo.pdm.labels.label_parts import score_scene
from wotempo.pdm.metrics import PDMS_COLUMNS


def test_each_anchor_is_alone_with_the_reference(micro_town):
    log = read_log(next((micro_town / "navsim_logs" / "test").glob("*.pkl")), "test")
    scenes = find_scenes([log], SceneFilter())[::5]
    ways = np.arange(1, 9)[:, None] * np.array([1.0, 0.1, 0.01])
    anchors = np.stack([ways * speed for speed in (0.0, 0.2, 1.0, 2.5, 5.0, 8.0)]).astype(np.float32)
    labels_differ = False
    for scene in scenes:
        town = read_map(micro_town / "maps", scene.current.map_location)
        found = score_alone(scene, town, anchors)
        drivers = {str(n): {scene.token: anchor} for n, anchor in enumerate(anchors)}
        for row in evaluate_scenes(micro_town / "maps", [scene], drivers):
            for name, column in PDMS_COLUMNS.items():
                np.testing.assert_allclose(getattr(found, name)[int(row["driver"])], row[column], atol=1e-9)
        labels_differ |= bool(np.abs(score_scene(scene, town, anchors)[2] - found.ep).max() > 0.01)
    assert labels_differ, "labels are relative to the best anchor: the two references must be told apart here"
