"""The window of a devkit's ``AgentInput``: the needs of a model, and the batch made for it.

An ``AgentInput`` holds H frames at 2 Hz, oldest first and the current one last (``ego_statuses``, ``cameras``,
``lidars``; H = 4 in the community's filters), with poses relative to the current frame and without times: frames are
taken to be FRAME_PERIOD_S apart. Only its attributes are read, so nothing here imports the devkit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wotempo.errors import UserError
from wotempo.features import FeatureSpec, camera_feature, lidar_feature, moved_points, status_vector
from wotempo.navsim import FRAME_PERIOD_S, STITCHED_CAMERAS
from wotempo.planners.base import Planner

MISSING_HISTORY = ("error", "mask")


@dataclass(frozen=True)
class AgentWindow:
    """How one model reads an ``AgentInput``. ``places``: oldest first, where in its lists the T frames of the window
    are; None where the window reaches further back than they do."""

    places: tuple[int | None, ...]
    steps: tuple[int, ...]  # of FRAME_PERIOD_S before the current frame
    num_history: int
    images_of_history: bool  # whether the model looks at the images of past frames
    stacked: bool  # whether it takes LiDAR histories in the axes of the current frame
    mask_missing: bool
    spec: FeatureSpec

    @classmethod
    def of(cls, model: Planner, num_history: int, missing_history: str, name: str) -> AgentWindow:
        """``num_history``: frames of an ``AgentInput``. ``missing_history``: ``error`` refuses a model whose window
        reaches further back, ``mask`` lets it plan without those frames, as ``data.missing=mask`` does. UserError
        names the checkpoint ``name``."""
        stage, needs = model.fusion, model.needs
        if missing_history not in MISSING_HISTORY:
            raise UserError(f"missing_history is '{missing_history}': set it to {' or '.join(MISSING_HISTORY)}")
        if needs.motion:
            raise UserError(f"{name} holds an oracle, which looks into the annotations: it cannot drive")
        steps = tuple(stage.frame_stride * back for back in reversed(range(stage.num_frames)))
        places = tuple(num_history - 1 - step if step < num_history else None for step in steps)
        if None in places and missing_history == "error":
            raise UserError(
                f"{name} sees {stage.num_frames} frames of stride {stage.frame_stride}, {steps[0] + 1} frames of a "
                f"log, and the devkit hands over {num_history}: set train_test_split.scene_filter.num_history_frames="
                f"{steps[0] + 1}, or agent.missing_history=mask to plan without the older ones"
            )
        spec = FeatureSpec(model.config.image_height, model.config.image_width, model.config.lidar_grid)
        images, masked = "camera" in needs.history_sensors, missing_history == "mask"
        return cls(places, steps, num_history, images, needs.stacks, masked, spec)

    @property
    def lidar_frames(self) -> list[int]:
        """Whose LiDAR is needed, as places in the devkit's lists."""
        return [place for place in self.places if place is not None]

    @property
    def camera_frames(self) -> list[int]:
        """Whose STITCHED_CAMERAS are needed."""
        return self.lidar_frames if self.images_of_history else self.lidar_frames[-1:]

    def batch(self, agent_input: Any) -> dict[str, torch.Tensor]:
        """The fields of ``Batch`` that planning reads, of one window: camera, lidar, frame_index, valid, pose, dt,
        status and, for a stage that takes LiDAR histories, lidar_stack and lidar_stack_pose.

        UserError where sensors or statuses are not what was asked for; a history frame without sensors is masked where
        the window says so.
        """
        poses = self._poses(agent_input)
        shown: list[tuple[np.ndarray, np.ndarray]] = []
        t = len(self.places)
        frame_index = np.zeros((1, t), np.int64)
        valid = np.zeros((1, t), bool)
        pose, dt = np.zeros((1, t, 3), np.float32), np.zeros((1, t), np.float32)
        stack = np.zeros((1, t, 1, *self.spec.lidar_grid.shape), np.uint8)
        for i, place in enumerate(self.places):
            if place is None or not self._there(agent_input, place):
                continue
            shown.append(self._frame(agent_input, place))
            frame_index[0, i], valid[0, i] = len(shown) - 1, True
            pose[0, i], dt[0, i] = poses[place], self.steps[i] * FRAME_PERIOD_S
            if self.stacked:
                cloud = agent_input.lidars[place].lidar_pc
                moved = cloud if place == self.num_history - 1 else moved_points(cloud, poses[place].astype(np.float64))
                stack[0, i, 0] = lidar_feature(moved, self.spec)
        frame_index[~valid] = len(shown) - 1  # a missing frame points at the current one
        now = agent_input.ego_statuses[-1]
        arrays = {
            "camera": np.stack([camera for camera, _ in shown]),
            "lidar": np.stack([lidar for _, lidar in shown]),
            "frame_index": frame_index,
            "valid": valid,
            "pose": pose,
            "dt": dt,
            "status": status_vector(now.driving_command, now.ego_velocity, now.ego_acceleration)[None],
        }
        if self.stacked:
            arrays |= {"lidar_stack": stack, "lidar_stack_pose": pose.copy()}
        return {name: torch.from_numpy(value) for name, value in arrays.items()}

    def _poses(self, agent_input: Any) -> np.ndarray:
        """(H, 3) float32 of each frame in the current one."""
        lengths = {len(getattr(agent_input, name)) for name in ("ego_statuses", "cameras", "lidars")}
        if lengths != {self.num_history}:
            raise UserError(
                f"the AgentInput holds {sorted(lengths)} frames, the agent was set up for {self.num_history}: set "
                "agent.num_history_frames to train_test_split.scene_filter.num_history_frames"
            )
        poses = np.array([status.ego_pose for status in agent_input.ego_statuses], np.float32)
        if not np.isfinite(poses).all() or np.abs(poses[-1]).max() > 1e-6:
            raise UserError(
                f"the poses of the AgentInput are {poses.tolist()}: they must be finite and relative to the last "
                "frame, which is the current one"
            )
        return poses

    def _there(self, agent_input: Any, place: int) -> bool:
        """Whether a frame has the sensors that were asked for. UserError where it must have them."""
        absent = [] if agent_input.lidars[place].lidar_pc is not None else ["LiDAR"]
        if place in self.camera_frames:
            cameras = agent_input.cameras[place]
            absent += [name for name in STITCHED_CAMERAS if getattr(cameras, name.lower()).image is None]
        if not absent:
            return True
        if place == self.num_history - 1:
            raise UserError(f"the current frame of the AgentInput has no {', '.join(absent)}: the model plans from it")
        if self.mask_missing:
            return False
        raise UserError(
            f"history frame {place} of the AgentInput has no {', '.join(absent)}: set agent.missing_history=mask to "
            "plan without it"
        )

    def _frame(self, agent_input: Any, place: int) -> tuple[np.ndarray, np.ndarray]:
        """camera (3, H, W) and lidar (1, R, C), uint8; black where the model does not look at the images."""
        lidar = lidar_feature(agent_input.lidars[place].lidar_pc, self.spec)[None]
        if place not in self.camera_frames:
            return np.zeros((3, self.spec.image_height, self.spec.image_width), np.uint8), lidar
        cameras = agent_input.cameras[place]
        images = {name: getattr(cameras, name.lower()).image for name in STITCHED_CAMERAS}
        return camera_feature(images, self.spec).transpose(2, 0, 1), lidar
