"""The fast score equals the plain one, at scenes and proposals that nobody chose."""

from __future__ import annotations

import numpy as np
import pytest
from pdm_builders import golden_scene
from plain_score import plain_score, plain_simulate

from wotempo.maps import read_map
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import score
from wotempo.pdm.simulate import simulate


@pytest.mark.parametrize("case", range(3))
def test_random_proposals(case, golden_dir):
    """Turns, lane changes, stops and reversals of random strength: 40 proposals per scene."""
    rng = np.random.default_rng(case)
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        scene = golden_scene(dict(file), case)
    context = SceneContext.build(scene, read_map(golden_dir / "navsim" / "maps", "us-nv-las-vegas-strip"))
    speed = np.cumsum(rng.normal(0, 1.5, (40, 8)), 1) + rng.uniform(-1, 15, (40, 1))
    heading = np.cumsum(rng.normal(0, 0.08, (40, 8)) + rng.normal(0, 0.06, (40, 1)), 1)
    x, y = np.cumsum(0.5 * speed * np.cos(heading), 1), np.cumsum(0.5 * speed * np.sin(heading), 1)
    poses = np.stack((x, y, heading), -1)
    states = simulate(context.ego, poses, start_us=context.start_us)
    np.testing.assert_allclose(plain_simulate(context, poses), states, atol=1e-6)
    fast, plain = score(context, states), plain_score(context, states)
    for name, values in plain.items():
        np.testing.assert_allclose(getattr(fast, name), values, atol=1e-9, err_msg=name)
    assert len(np.unique(plain["nc"])) > 1 or len(np.unique(plain["ttc"])) > 1
    assert len(np.unique(plain["comfort"])) == 2
