"""The vehicles of one log: their bodies, their drivers' habits, and what will make them change speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EGO_LENGTH, EGO_WIDTH, EGO_HEIGHT = 5.176, 2.297, 1.777
EGO_FRONT, EGO_REAR = 4.049, 1.127  # from the rear axle to the bumpers

PAINTS = np.array(
    [[235, 235, 235], [200, 202, 205], [120, 124, 128], [40, 42, 46], [25, 40, 90], [150, 25, 30], [60, 80, 60],
     [190, 160, 110], [220, 180, 40], [90, 55, 40]], np.uint8,
)  # fmt: skip


@dataclass(frozen=True)
class Fleet:
    """Per vehicle (V,). Positions along a path are those of the rear axle."""

    front: np.ndarray  # rear axle to front bumper, metres
    rear: np.ndarray  # rear axle to rear bumper
    width: np.ndarray
    height: np.ndarray
    colour: np.ndarray  # (V, 3) uint8
    expert: np.ndarray  # bool: may become the ego
    headway: np.ndarray  # seconds to the leader
    gap: np.ndarray  # metres to the leader at standstill
    accelerate: np.ndarray  # m/s², comfortable
    brake: np.ndarray  # m/s², comfortable, positive
    brake_most: np.ndarray  # m/s², in need
    jerk: np.ndarray  # m/s³, comfortable
    pace: np.ndarray  # share of the speed limit
    lateral: np.ndarray  # m/s² in bends
    sway: np.ndarray  # (V, 3) amplitude, wavelength, phase of the drift in the lane

    def __len__(self) -> int:
        return len(self.front)


def draw_fleet(count: int, experts: int, rng: np.random.Generator) -> Fleet:
    """The first ``experts`` have the ego's body and an attentive driver; the others vary widely."""
    expert = np.arange(count) < experts
    kind = rng.choice(3, count, p=[0.8, 0.13, 0.07])  # car, van, lorry
    low = np.array([[4.1, 1.72, 1.4], [5.1, 1.95, 1.9], [6.6, 2.2, 2.6]])[kind]
    high = np.array([[5.1, 1.95, 1.8], [6.0, 2.1, 2.5], [8.2, 2.45, 3.3]])[kind]
    length, width, height = np.where(expert[:, None], (EGO_LENGTH, EGO_WIDTH, EGO_HEIGHT), rng.uniform(low, high)).T

    def habit(others: tuple[float, float], experts_: tuple[float, float]) -> np.ndarray:
        return np.where(expert, rng.uniform(*experts_, count), rng.uniform(*others, count))

    crawler = ~expert & (rng.random(count) < 0.06)
    sway = np.stack([habit((0.0, 0.2), (0.0, 0.1)), rng.uniform(60, 120, count), rng.uniform(0, 2 * np.pi, count)], 1)
    return Fleet(
        front=length * EGO_FRONT / EGO_LENGTH,
        rear=length * EGO_REAR / EGO_LENGTH,
        width=width,
        height=height,
        colour=PAINTS[rng.integers(len(PAINTS), size=count)],
        expert=expert,
        headway=habit((0.8, 2.0), (1.2, 1.6)),
        gap=habit((1.8, 3.5), (2.2, 3.0)),
        accelerate=habit((1.0, 2.4), (1.5, 2.0)),
        brake=habit((1.4, 2.8), (1.5, 2.0)),
        brake_most=habit((6.0, 8.0), (6.0, 6.0)),
        jerk=habit((2.5, 6.0), (2.5, 3.0)),
        pace=np.where(crawler, rng.uniform(0.35, 0.6, count), habit((0.75, 1.1), (0.92, 1.0))),
        lateral=habit((1.4, 2.6), (1.5, 1.9)),
        sway=sway,
    )


@dataclass(frozen=True)
class Moods:
    """What disturbs the drivers over time, per step and vehicle (T, V). Drawn beforehand; experts have none."""

    pace: np.ndarray  # factor on the desired speed
    brake: np.ndarray  # m/s² of braking regardless of need, positive; 0: none


def draw_moods(fleet: Fleet, steps: int, dt: float, rng: np.random.Generator) -> Moods:
    """Dawdling, stop-and-go and sudden braking.

    They make the next seconds of a leader unreadable from one frame: the same gap may be closing or opening, and how
    fast a leader brakes shows only over several frames.
    """
    count = len(fleet)
    pace, brake = np.ones((steps, count)), np.zeros((steps, count))
    for v in np.flatnonzero(~fleet.expert):
        temper = rng.choice(3, p=[0.5, 0.35, 0.15])  # steady, moody, stop-and-go
        t = int(rng.uniform(0.0, 4.0) / dt)
        while t < steps and temper > 0:
            hold = int(rng.uniform(2.0, 6.0) / dt)
            if temper == 1:
                pace[t : t + hold, v] = rng.choice([1.0, 1.1, 0.75, 0.5, 0.35])
            else:
                pace[t : t + hold, v] = rng.choice([1.0, 0.8, 0.4, 0.0], p=[0.5, 0.2, 0.15, 0.15])
            t += hold
        for _ in range(rng.poisson(0.03 * steps * dt)):  # about one sudden braking per vehicle in half a minute
            start, hold = int(rng.integers(steps)), int(rng.uniform(0.8, 3.0) / dt)
            brake[start : start + hold, v] = rng.uniform(2.0, 5.0)
    return Moods(pace, brake)
