"""A stand-in for the official devkit: the few names that an agent meets, written from its documented interface.

``modules(version)`` makes them as ``navsim.…`` and ``nuplan.…`` modules; ``load_agent_input`` fills an ``AgentInput``
from the frames of a log in the way that the devkit's scene loader does. ``test_devkit.py`` runs the real devkit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

CAMERAS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
RECORD = np.dtype([("xyz", "<f4", 3), ("intensity", "u1"), ("lidar_info", "u1"), ("ring", "u1")])


class TrajectorySampling:
    def __init__(self, num_poses: int, interval_length: float) -> None:
        self.num_poses, self.interval_length = num_poses, interval_length
        self.time_horizon = num_poses * interval_length


@dataclass
class Trajectory:
    poses: np.ndarray
    trajectory_sampling: TrajectorySampling

    def __post_init__(self) -> None:
        assert self.poses.shape == (self.trajectory_sampling.num_poses, 3)


@dataclass
class SensorConfig:
    """Each sensor: False, True, or a list of frames, counted from the oldest of the scene."""

    cam_f0: Any
    cam_l0: Any
    cam_l1: Any
    cam_l2: Any
    cam_r0: Any
    cam_r1: Any
    cam_r2: Any
    cam_b0: Any
    lidar_pc: Any

    def get_sensors_at_iteration(self, iteration: int) -> list[str]:
        return [name for name, on in asdict(self).items() if (on if isinstance(on, bool) else iteration in on)]

    @classmethod
    def build_no_sensors(cls) -> SensorConfig:
        return cls(*[False] * 9)


@dataclass
class Camera:
    image: np.ndarray | None = None


@dataclass
class Lidar:
    lidar_pc: np.ndarray | None = None


@dataclass
class EgoStatus:
    ego_pose: np.ndarray
    ego_velocity: np.ndarray
    ego_acceleration: np.ndarray
    driving_command: np.ndarray
    in_global_frame: bool = False


@dataclass
class AgentInput:
    ego_statuses: list[EgoStatus]
    cameras: list[Any]
    lidars: list[Lidar]


class AgentV1(torch.nn.Module):
    def __init__(self, requires_scene: bool = False) -> None:
        super().__init__()
        self.requires_scene = requires_scene


class AgentV2(torch.nn.Module):
    def __init__(self, trajectory_sampling: TrajectorySampling, requires_scene: bool = False) -> None:
        super().__init__()
        self.requires_scene = requires_scene
        self._trajectory_sampling = trajectory_sampling


def modules(version: int) -> dict[str, ModuleType]:
    """What ``sys.modules`` holds where that version of the devkit is imported."""
    names = {
        "navsim.agents.abstract_agent": {"AbstractAgent": AgentV1 if version == 1 else AgentV2},
        "navsim.common.dataclasses": {
            "AgentInput": AgentInput,
            "SensorConfig": SensorConfig,
            "Trajectory": Trajectory,
        },
        "nuplan.planning.simulation.trajectory.trajectory_sampling": {"TrajectorySampling": TrajectorySampling},
    }
    made: dict[str, ModuleType] = {}
    for name, content in names.items():
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            made.setdefault(".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
        vars(made[name]).update(content)
    return made


def read_cloud(path: Path) -> np.ndarray:
    """(6, n) float32: x, y, z, intensity, ring, id."""
    data = path.read_bytes()
    points = np.frombuffer(data[data.index(b"DATA binary\n") + 12 :], RECORD)
    rows = [*points["xyz"].T, points["intensity"], points["ring"], points["lidar_info"]]
    return np.stack(rows).astype(np.float32)


def load_agent_input(raw: list[dict], blobs: Path, sensors: SensorConfig) -> AgentInput:
    """``raw``: the frames of a log up to the current one, as the pickle holds them."""
    poses = []
    for frame in raw:
        w, _, _, z = frame["ego2global_rotation"]  # the town is flat
        poses.append([*frame["ego2global_translation"][:2], 2 * np.arctan2(z, w)])
    moved = np.array(poses) - np.array(poses[-1])
    cos, sin = np.cos(poses[-1][2]), np.sin(poses[-1][2])
    moved[:, :2] = moved[:, :2] @ np.array([[cos, -sin], [sin, cos]])
    moved[:, 2] = np.arctan2(np.sin(moved[:, 2]), np.cos(moved[:, 2]))
    filled = AgentInput([], [], [])
    for i, frame in enumerate(raw):
        wanted = sensors.get_sensors_at_iteration(i)
        motion = np.array(frame["ego_dynamic_state"], np.float32)
        pose = moved[i].astype(np.float32)
        filled.ego_statuses.append(EgoStatus(pose, motion[:2], motion[2:], frame["driving_command"]))
        cameras = ModuleType("cameras")
        for name in CAMERAS:
            path = frame["cams"][name.upper()].get("data_path", "")
            setattr(cameras, name, Camera(np.array(Image.open(blobs / path))) if name in wanted else Camera())
        filled.cameras.append(cameras)
        cloud = read_cloud(blobs / frame["lidar_path"]) if "lidar_pc" in wanted else None
        filled.lidars.append(Lidar(cloud))
    return filled
