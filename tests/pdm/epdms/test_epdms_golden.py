"""EPDMS equals that of NAVSIM v2.2 on the reference scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from epdms_builders import scores_of

from wotempo.maps import read_map
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import Scene
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.human_filter import apply_human_filter
from wotempo.pdm.epdms.score import extended_scores, human_scores
from wotempo.pdm.epdms.scores import ExtendedScores
from wotempo.pdm.simulate import simulate, track
from wotempo.pdm.states import NUM_STEPS

LOCATION = "us-nv-las-vegas-strip"
FIELDS = {
    "nc": "no_at_fault_collisions",
    "dac": "drivable_area_compliance",
    "ddc": "driving_direction_compliance",
    "tlc": "traffic_light_compliance",
    "ep": "ego_progress",
    "ttc": "time_to_collision_within_bound",
    "lk": "lane_keeping",
    "hc": "history_comfort",
}
NO_PREDECESSOR = np.full(1, np.nan)


def _compare(got: ExtendedScores, official: dict[str, float], message: str) -> None:
    for name in FIELDS:
        if name == "ep":
            np.testing.assert_allclose(got.ep[0], official["ep"], atol=1e-6, err_msg=f"{message} {name}")
        else:
            assert getattr(got, name)[0] == official[name], f"{message} {name}"
    score = scores_of(**{name: np.array([official[name]]) for name in FIELDS}, ec=NO_PREDECESSOR).score
    np.testing.assert_allclose(got.score, score, atol=1e-6, err_msg=message)


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> dict[str, np.ndarray]:
    root = shared_dir / "golden" / "navsim"
    with np.load(root / "pdm_v11_dev.npz") as old, np.load(root / "epdms_v22_dev.npz") as new:
        assert (old["tokens"] == new["tokens"]).all()
        return {"anchors": old["anchors"], "pdm_closed_plan": old["pdm_closed_plan"], **new}


@pytest.fixture(scope="module")
def changed_plans(golden_dir: Path) -> dict[str, np.ndarray]:
    """PDM-Closed's plans (41, 3) where v2.2 chooses another one than v1.1, because it scores by the new rules."""
    with np.load(golden_dir / "epdms" / "closed_plans_v22.npz") as file:
        return dict(zip(file["tokens"].tolist(), file["plans"], strict=True))


def _contexts(shared_dir: Path, tokens: np.ndarray) -> Iterator[tuple[int, Scene, ExtendedContext]]:
    root = shared_dir / "golden" / "navsim"
    logs = [read_log(path, "golden") for path in sorted((root / "navsim_logs" / "golden").glob("*.pkl"))]
    scenes = {frame.token: Scene(log, index) for log in logs for index, frame in enumerate(log.frames)}
    town = read_map(root / "maps", LOCATION)
    for row, token in enumerate(tokens):
        base = SceneContext.build(scenes[token], town)
        yield row, scenes[token], ExtendedContext.extend(base, scenes[token], town)


@pytest.mark.shared
def test_all_reference_scenes(
    shared_dir: Path, golden: dict[str, np.ndarray], changed_plans: dict[str, np.ndarray]
) -> None:
    """24 scenes × 18 plans, scored one by one against PDM-Closed: with the human filter, anchors also without."""
    columns = [golden["fields"].tolist().index(name) for name in FIELDS.values()]
    anchors = golden["anchors"][golden["anchor_indices"]]
    for row, scene, context in _contexts(shared_dir, golden["tokens"]):
        base = context.scene
        plan = changed_plans.get(scene.token, golden["pdm_closed_plan"][row, :NUM_STEPS, :3])
        reference = extended_scores(context, track(base.ego, plan[None])).masked_progress[0]
        plans = np.concatenate((anchors, human_poses(scene)[None], constant_velocity_poses(scene)[None]))
        states = simulate(base.ego, plans, start_us=base.start_us)
        human = human_scores(context, states[-2:-1])
        filtered = [*golden["anchors16"][row], golden["human"][row], golden["constant_velocity"][row]]
        for k in range(len(states)):
            got = extended_scores(context, states[k : k + 1], reference)
            message = f"{scene.token} plan {k}"
            official = dict(zip(FIELDS, filtered[k][columns], strict=True))
            _compare(apply_human_filter(got, human), official, message)
            if k < len(anchors):
                official = dict(zip(FIELDS, golden["anchors16_nofilter"][row, k, columns], strict=True))
                _compare(got, official, f"{message}, not filtered")
                np.testing.assert_allclose(
                    got.score, golden["anchors16_nofilter"][row, k, -1], atol=1e-6, err_msg=message
                )
