"""Ego futures by the thousand, without sensors or logs: what anchors are made of."""

from __future__ import annotations

import numpy as np

from wotempo.city.dataset.config import CityConfig
from wotempo.city.sensors.town import draw_district
from wotempo.city.traffic.drive import WARM_UP_S, Drive, run_drive
from wotempo.city.traffic.simulation import DT
from wotempo.geometry import relative_to

POSES, PERIOD_S = 8, 0.5
DRIVE_S = 40.0  # of one simulation
EVERY_S = 1.0  # between two futures of one vehicle
EXPERTS = 24
# Shares that are kept of what would crowd out the rest: futures under a metre long, and those without a bend.
STANDING_KEPT, STRAIGHT_KEPT, BEND = 0.2, 0.4, 0.15  # BEND: radians at the end


def simulate_futures(config: CityConfig, count: int, seed: int) -> np.ndarray:
    """(count, 8, 3) float32: x, y, heading at 0.5 … 4 s of expert drivers, in their frame at the time.

    From the training districts only, in traffic that no log shows; standing and straight ones are thinned out.
    """
    rng = np.random.default_rng([config.seed, seed, 104])
    found: list[np.ndarray] = []
    while sum(map(len, found)) < count:
        network = draw_district(config.seed, len(found) % config.train.districts).network  # those of train come first
        found.append(_futures(run_drive(network, DRIVE_S, EXPERTS, rng), rng))
    futures = np.concatenate(found)
    return futures[rng.permutation(len(futures))[:count]]


def _futures(drive: Drive, rng: np.random.Generator) -> np.ndarray:
    poses = drive.poses[:, drive.fleet.expert]
    step, first = round(PERIOD_S / DT), round(WARM_UP_S / DT)
    now = np.arange(first, len(poses) - POSES * step, round(EVERY_S / DT))
    ahead = now[:, None] + step * np.arange(1, POSES + 1)
    local = relative_to(poses[now][:, None], poses[ahead])  # (T, 8, V, 3)
    local = local.transpose(0, 2, 1, 3).reshape(-1, POSES, 3)
    end = local[:, -1]
    share = np.where(np.abs(end[:, 2]) > BEND, 1.0, STRAIGHT_KEPT)
    share = np.where(np.hypot(end[:, 0], end[:, 1]) > 1.0, share, STANDING_KEPT)
    return local[rng.random(len(local)) < share].astype(np.float32)
