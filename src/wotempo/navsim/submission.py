"""Files of plans: ``plans.npz``, and the file that NAVSIM's test server takes, with the team that made them.

``plans.npz``: ``tokens`` (n,) str and ``poses`` (n, 8, 3) float32: x, y (m), heading (rad) in the ego frame of each
token, every 0.5 s.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.anchors import NUM_POSES
from wotempo.navsim.arrays import read_arrays
from wotempo.navsim.files import archive_bytes, write_bytes
from wotempo.navsim.legacy_pickle import legacy_bytes
from wotempo.navsim.schema import FRAME_PERIOD_S
from wotempo.navsim.unpickle import load_pickle


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


RECORDS = frozenset({_Sampling.official_name, _Trajectory.official_name})


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


def write_plans(path: Path, plans: Mapping[str, np.ndarray]) -> None:
    """token -> (8, 3), as ``plans.npz``; atomic. UserError when the disk is full."""
    poses = np.stack([np.asarray(plan, np.float32) for plan in plans.values()])
    write_bytes(path, archive_bytes(tokens=np.array(list(plans), dtype=str), poses=poses))


def read_plans(path: Path) -> dict[str, np.ndarray]:
    """token -> (8, 3) float32 of a ``plans.npz`` or a submission. UserError naming the file for anything else."""
    tokens, poses = _arrays(path) if zipfile.is_zipfile(path) else _predictions(path)
    if len(set(tokens)) < len(tokens):
        raise UserError(f"{path}: some tokens have two plans: keep one of each")
    if not tokens:
        raise UserError(f"{path}: holds no plans")
    return dict(zip(tokens, poses, strict=True))


def _arrays(path: Path) -> tuple[list[str], np.ndarray]:
    shape = f"(n, {NUM_POSES}, 3)"
    try:
        file = read_arrays(path)
        tokens, poses = file["tokens"], file["poses"]
        if tokens.ndim != 1 or tokens.dtype.kind != "U":
            raise ValueError("tokens must be (n,) texts")
        if poses.shape != (len(tokens), NUM_POSES, 3) or poses.dtype.kind != "f":
            raise ValueError(f"poses must be {shape} floats, one for each of {len(tokens)} tokens, not {poses.shape}")
    except (OSError, ValueError, KeyError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path}: no file of plans ({reason}); it holds tokens (n,) and poses {shape}") from error
    return tokens.tolist(), poses.astype(np.float32)


def _predictions(path: Path) -> tuple[list[str], list[np.ndarray]]:
    content = load_pickle(path, RECORDS)
    tokens, poses = list[str](), list[np.ndarray]()
    try:
        for part in content["predictions"]:
            for token, trajectory in part.items():
                pose = np.asarray(trajectory["poses"], np.float32)
                if pose.shape != (NUM_POSES, 3) or not isinstance(token, str):
                    raise ValueError(f"token {token!r}: a plan must be ({NUM_POSES}, 3), not {pose.shape}")
                if (seconds := trajectory["trajectory_sampling"]["interval_length"]) != FRAME_PERIOD_S:
                    raise ValueError(f"token {token}: poses must be {FRAME_PERIOD_S} s apart, not {seconds}")
                tokens.append(token)
                poses.append(pose)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path}: no submission ({reason}); name a plans.npz or a file of NAVSIM's test server"
        ) from error
    return tokens, poses
