"""Extended comfort and history comfort: NAVSIM v2.2's verdicts on made-up motions, and what they are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from epdms_motions import bounds_of_extended_comfort, gaps, random_pairs
from pdm_builders import make_frame, start_state, straight

from wotempo.pdm.epdms.extended_comfort import extended_comfort
from wotempo.pdm.epdms.history import history_comfort, history_states
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import ACCEL, HEADING, SPEED, STATE_SIZE, YAW_RATE, X


@pytest.fixture(scope="module")
def official(golden_dir: Path) -> dict[str, np.ndarray]:
    with np.load(golden_dir / "epdms" / "extended_comfort_v22.npz") as file:
        return dict(file)


def test_bounds_are_met_inclusively(official: dict[str, np.ndarray]) -> None:
    got = extended_comfort(*bounds_of_extended_comfort())
    np.testing.assert_array_equal(got, official["bounds"])
    np.testing.assert_array_equal(got, [1, 1, 0] * 4)


def test_random_pairs(official: dict[str, np.ndarray]) -> None:
    got = extended_comfort(*random_pairs())
    np.testing.assert_array_equal(got, official["random"])
    assert 50 < got.sum() < 150
    assert got[0] == 1, "identical"
    assert got[-1] == 0, "strongly different"


@pytest.mark.parametrize("gap_s", gaps())
def test_the_overlap_follows_the_gap(gap_s: float, official: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(extended_comfort(*random_pairs(), gap_s), official[f"gap_{round(gap_s * 1000)}"])


def test_one_earlier_motion_serves_all() -> None:
    now, before = random_pairs()
    one_by_one = [extended_comfort(row[None], before[:1])[0] for row in now]
    np.testing.assert_array_equal(extended_comfort(now, before[:1]), one_by_one)


def test_consistent_plans_are_comfortable() -> None:
    """The same cruise, seen half a second later; then one that brakes, then one that swerves."""
    before = simulate(start_state(8.0), straight(8.0))
    swerve = straight(8.0)
    swerve[0, :, 1:] = np.stack((np.linspace(0.5, 10, 8), np.linspace(0.1, 0.8, 8)), -1)
    for plan, expected in ((straight(8.0), 1), (straight(8.2), 1), (straight(3.0), 0), (swerve, 0)):
        assert extended_comfort(simulate(before[0, 5], plan), before)[0] == expected


@pytest.mark.parametrize("gap_s", [0.0, -0.5, 0.56, 1.0])
def test_frames_that_are_not_consecutive_are_refused(gap_s: float) -> None:
    now, before = random_pairs()
    with pytest.raises(ValueError, match="not consecutive"):
        extended_comfort(now, before, gap_s)


def _past(jitter_us: int = 0) -> list:
    times_us = (10_000_000 - jitter_us, 10_500_000, 11_000_000, 11_500_000)
    poses = [(2.0 * k, 0, np.pi - 0.3 + 0.2 * k) for k in range(4)]
    return [
        make_frame(k, poses[k], ego_velocity=(k, 0), ego_acceleration=(2.0 * k, 1), timestamp_us=times_us[k])
        for k in range(4)
    ]


@pytest.mark.parametrize(("jitter_us", "count"), [(0, 14), (1, 15), (-1, 14), (99_999, 15)])
def test_history_has_14_or_15_samples(jitter_us: int, count: int) -> None:
    assert history_states(_past(jitter_us)).shape == (count, STATE_SIZE)


def test_history_is_linear_between_frames() -> None:
    states = history_states(_past())
    time = np.arange(14) / 5
    np.testing.assert_allclose(states[:, X], 2 * time, atol=1e-9)
    np.testing.assert_allclose(states[:, SPEED], time, atol=1e-9)
    np.testing.assert_allclose(states[:, ACCEL], 2 * time, atol=1e-9)
    heading = np.pi - 0.3 + 0.2 * time
    np.testing.assert_allclose(states[:, HEADING], np.where(heading > np.pi, heading - 2 * np.pi, heading), atol=1e-9)
    assert not states[:, YAW_RATE:].any()


def test_a_harsh_past_spoils_a_smooth_plan() -> None:
    states = simulate(start_state(5.0), np.repeat(straight(5.0), 2, 0))
    smooth = history_states([replace(f, acceleration=np.zeros(2), pose=np.zeros(3)) for f in _past()])
    harsh = smooth.copy()
    harsh[:5, ACCEL] = -6.0
    np.testing.assert_array_equal(history_comfort(states, smooth), [1, 1])
    np.testing.assert_array_equal(history_comfort(states, harsh), [0, 0])
    np.testing.assert_array_equal(history_comfort(states, None), [1, 1])
