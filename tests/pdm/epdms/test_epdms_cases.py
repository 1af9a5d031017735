"""EPDMS equals that of NAVSIM v2.2 on generated cases: lights, static contacts, consecutive frames, what humans do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from epdms_builders import CASES, NOW, case_scene

from wotempo.maps import MapIndex, read_map
from wotempo.pdm.agents import human_poses
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.human_filter import apply_human_filter
from wotempo.pdm.epdms.score import extended_scores, human_scores
from wotempo.pdm.epdms.scores import SUB_SCORES, ExtendedScores
from wotempo.pdm.simulate import simulate, track

COLUMNS = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc", "ec", "score")


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, np.ndarray]:
    with np.load(golden_dir / "epdms" / "official_v22.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def town(golden_dir: Path) -> MapIndex:
    return read_map(golden_dir / "navsim" / "maps", "us-nv-las-vegas-strip")


def _column(golden: dict[str, np.ndarray], case: str, kind: str, name: str) -> np.ndarray:
    return golden[f"{CASES.index(case)}_official_{kind}"][..., COLUMNS.index(name)]


def _compare(got: list[ExtendedScores], official: np.ndarray, message: str) -> None:
    """Rows that were scored one by one against official (P, ≤10)."""
    for column, name in enumerate(COLUMNS[: official.shape[1]]):
        values = np.array([getattr(row, name)[0] for row in got])
        if name in ("ep", "score"):
            np.testing.assert_allclose(values, official[:, column], atol=1e-6, err_msg=f"{message} {name}")
        else:
            np.testing.assert_array_equal(values, official[:, column], err_msg=f"{message} {name}")


@pytest.mark.parametrize("case", CASES)
def test_case(case: str, golden: dict[str, np.ndarray], town: MapIndex) -> None:
    """32 agents at two consecutive frames, each scored by itself against PDM-Closed."""
    key = CASES.index(case)
    before = None
    for step in range(2):
        scene = case_scene(golden, key, NOW - 1 + step)
        context = ExtendedContext.extend(SceneContext.build(scene, town), scene, town)
        base = context.scene
        closed = track(base.ego, golden[f"{key}_official_closed"][step][None])
        reference = extended_scores(context, closed).masked_progress[0]
        states = simulate(base.ego, golden[f"{key}_plans"][step], start_us=base.start_us)
        human = human_scores(context, simulate(base.ego, human_poses(scene)[None], start_us=base.start_us))
        plain = [
            extended_scores(context, states[k : k + 1], reference, None if before is None else before[k : k + 1])
            for k in range(len(states))
        ]
        filtered = [apply_human_filter(row, human) for row in plain]
        _compare(filtered, golden[f"{key}_official_filtered"][step], f"{case} frame {step}")
        if step == 1:
            _compare(plain, golden[f"{key}_official_unfiltered"], f"{case} not filtered")
        before = states


def test_the_cases_show_every_outcome(golden: dict[str, np.ndarray]) -> None:
    for name in SUB_SCORES:
        if name == "ep":
            continue
        for kind in ("filtered",) if name == "ec" else ("filtered", "unfiltered"):
            values = np.concatenate([_column(golden, case, kind, name).ravel() for case in CASES])
            expected = {0, 0.5, 1} if name in ("nc", "ddc") else {0, 1}
            assert set(values[~np.isnan(values)]) == expected, f"{name} {kind}"


def test_the_human_filter_in_the_cases(golden: dict[str, np.ndarray]) -> None:
    """A human who ran a red light or hit a car is followed without penalty, one who hit a cone (0.5) is not."""
    assert (_column(golden, "red_ahead", "unfiltered", "tlc") == 0).any()
    assert (_column(golden, "red_ahead", "filtered", "tlc")[1] == 1).all()
    assert (_column(golden, "red_early", "filtered", "tlc")[1] == 0).any()
    assert (_column(golden, "red_off_raw_route", "unfiltered", "tlc") == 1).all()
    assert (_column(golden, "human_at_fault", "unfiltered", "nc") == 0).any()
    assert (_column(golden, "human_at_fault", "filtered", "nc")[1] == 1).all()
    assert (_column(golden, "red_early", "filtered", "nc")[1] == 0.5).any()
