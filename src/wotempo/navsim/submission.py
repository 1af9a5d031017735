"""The file that NAVSIM's test server takes: one plan per token, and the team that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.files import write_bytes
from wotempo.navsim.legacy_pickle import legacy_bytes
from wotempo.navsim.schema import FRAME_PERIOD_S


@dataclass
class Team:
    """What the server asks for; all of it must be given."""

    name: str
    authors: list[str]
    email: str
    institution: str
    country: str


class _Sampling:
    official_name = ("nuplan.planning.simulation.trajectory.trajectory_sampling", "TrajectorySampling")

    def __init__(self) -> None:
        self.num_poses = NUM_POSES
        self.time_horizon = NUM_POSES * FRAME_PERIOD_S
        self.interval_length = FRAME_PERIOD_S


class _Trajectory:
    official_name = ("navsim.common.dataclasses", "Trajectory")

    def __init__(self, poses: np.ndarray, sampling: _Sampling) -> None:
        self.poses = poses
        self.trajectory_sampling = sampling


def require_complete(team: Team) -> None:
    """UserError naming what the server asks for and is not given."""
    if missing := [name for name, value in vars(team).items() if not value]:
        raise UserError(f"a submission needs {', '.join(f'team.{name}' for name in missing)}: give them")


def write_submission(path: Path, team: Team, plans: Mapping[str, np.ndarray]) -> list[str]:
    """token -> (8, 3) poses in the ego frame, every 0.5 s, as the devkit's own script writes them; atomic.

    Returns the tokens whose plans are not finite: they are left out, the server would count them as failed. UserError
    for an incomplete team, and where no plan is left.
    """
    require_complete(team)
    broken = [token for token, poses in plans.items() if not np.isfinite(poses).all()]
    if len(broken) == len(plans):
        first = f" (first: {broken[0]})" if broken else ""
        raise UserError(f"{len(broken)} plans hold numbers that are not finite{first}; nothing is written")
    sampling = _Sampling()
    out = set(broken)
    predictions = {
        token: _Trajectory(np.asarray(poses, np.float32), sampling)
        for token, poses in plans.items()
        if token not in out
    }
    content = {
        "team_name": team.name,
        "authors": list(team.authors),
        "email": team.email,
        "institution": team.institution,
        "country / region": team.country,
        "predictions": [predictions],
    }
    write_bytes(path, legacy_bytes(content))
    return broken
