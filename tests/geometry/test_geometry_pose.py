"""SE(2) poses, against 3×3 matrices and at UTM-sized coordinates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from chained_poses import step_poses

from wotempo.geometry import compose, inverse, relative_to
from wotempo.geometry.pose import wrap_angle

RNG = np.random.default_rng(0)
LOCAL = RNG.uniform((-50, -50, -math.pi), (50, 50, math.pi), (3, 200, 3))
UTM = RNG.uniform((3e5, 4e6, -math.pi), (7e5, 5e6, math.pi), (200, 3))


def matrix(pose: np.ndarray) -> np.ndarray:
    x, y, psi = pose
    return np.array([[math.cos(psi), -math.sin(psi), x], [math.sin(psi), math.cos(psi), y], [0, 0, 1]])


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of position (m) or heading (rad, modulo turns)."""
    difference = np.asarray(a) - np.asarray(b)
    difference[..., 2] = np.angle(np.exp(1j * difference[..., 2]))
    return float(np.abs(difference).max())


def test_compose_and_inverse_are_matrix_product_and_inverse() -> None:
    a, b, _ = LOCAL
    for p, q, composed, inverted in zip(a, b, compose(a, b), inverse(a), strict=True):
        assert np.allclose(matrix(composed), matrix(p) @ matrix(q), atol=1e-12)
        assert np.allclose(matrix(inverted), np.linalg.inv(matrix(p)), atol=1e-12)


def test_group_laws() -> None:
    a, b, c = LOCAL
    assert distance(compose(compose(a, b), c), compose(a, compose(b, c))) < 1e-12
    assert distance(compose(a, inverse(a)), np.zeros_like(a)) < 1e-12
    assert distance(compose(inverse(a), a), np.zeros_like(a)) < 1e-12
    assert distance(inverse(compose(a, b)), compose(inverse(b), inverse(a))) < 1e-12


def test_composition_has_an_order() -> None:
    assert compose(np.array([5.0, 0, math.pi / 2]), np.array([1.0, 0, 0])) == pytest.approx([5, 1, math.pi / 2])
    assert compose(np.array([1.0, 0, 0]), np.array([5.0, 0, math.pi / 2])) == pytest.approx([6, 0, math.pi / 2])


def test_driving_straight_ahead_leaves_history_behind() -> None:
    """Heading north: 10 m ago is at x = -10 of the current frame, whatever the map's axes."""
    now, before = np.array([5e5, 4e6, math.pi / 2]), np.array([5e5, 4e6 - 10, math.pi / 2])
    assert relative_to(now, before) == pytest.approx([-10, 0, 0], abs=1e-9)


def test_a_left_turn_is_a_positive_heading() -> None:
    """The car turned left by 0.1 since history: history's heading is -0.1, and a point to its left has y > 0."""
    now, before = np.array([0.0, 0, 0.1]), np.zeros(3)
    assert relative_to(now, before)[2] == pytest.approx(-0.1)
    assert relative_to(before, np.array([0.0, 2.0, 0.0]))[1] == 2.0


def test_relative_poses_keep_micrometres_at_utm_coordinates() -> None:
    """5e6 m in float64 resolves 1e-9 m, and subtracting first loses nothing more; multiplying first would."""
    local = LOCAL[0]
    assert distance(relative_to(UTM, compose(UTM, local)), local) < 5e-9
    # Moving the world by whole metres (exact in float64 after rounding to 2^-20 m) changes no relative pose at all.
    place, other = (np.round(p * 2**20) / 2**20 for p in LOCAL[:2])
    moved = np.array([500_000.0, 4_000_000.0, 0.0])
    assert np.array_equal(relative_to(place + moved, other + moved), relative_to(place, other))


def test_float32_would_not_do() -> None:
    """Why global poses stay float64: half a metre is one float32 step at 5e6 m."""
    local = LOCAL[0]
    rounded = relative_to(UTM.astype(np.float32), compose(UTM, local).astype(np.float32))
    assert distance(rounded, local) > 0.1


def test_relative_to_is_inverse_compose_and_broadcasts() -> None:
    a, b, _ = LOCAL
    assert distance(relative_to(a, b), compose(inverse(a), b)) < 1e-12
    assert distance(relative_to(a[:1], b), relative_to(np.repeat(a[:1], len(b), 0), b)) == 0


def test_step_poses_are_poses_in_the_successor() -> None:
    poses = compose(UTM[:1], LOCAL[0].reshape(20, 10, 3))
    steps = step_poses(poses)
    assert steps.shape == (20, 9, 3)
    assert distance(compose(poses[:, 1:], steps), poses[:, :-1]) < 1e-8


def test_torch_agrees_with_numpy() -> None:
    a, b, _ = LOCAL
    t, u = torch.from_numpy(a), torch.from_numpy(b)
    for numpy_result, torch_result in (
        (compose(a, b), compose(t, u)),
        (inverse(a), inverse(t)),
        (relative_to(a, b), relative_to(t, u)),
        (step_poses(a), step_poses(t)),
    ):
        assert torch_result.dtype is torch.float64
        assert distance(numpy_result, torch_result.numpy()) < 1e-12


def test_wrap_angle() -> None:
    angle = np.linspace(-20, 20, 1001)
    wrapped = wrap_angle(angle)
    assert np.abs(wrapped).max() <= math.pi
    assert np.allclose(np.exp(1j * wrapped), np.exp(1j * angle))
    assert np.allclose(wrapped[np.abs(angle) < 3.1], angle[np.abs(angle) < 3.1])
    # A step across ±π is a small step.
    assert relative_to(np.array([0, 0, -3.1]), np.array([0, 0, 3.1]))[2] == pytest.approx(6.2 - 2 * math.pi)
