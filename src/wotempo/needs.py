"""``WindowNeeds``: the contents that a planner wants of its batches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WindowNeeds:
    """A planner states it (``Planner.window_needs``), the data module obeys it. The current frame is always there with
    camera, LiDAR and status."""

    frames: int = 1  # of a window, the current one included
    stride: int = 1  # frames of the log from one frame of a window to the next
    history_sensors: tuple[str, ...] = ("camera", "lidar")  # of the frames of the past: camera, lidar
    stacks: bool = False  # the LiDAR history counted in the axes of the current frame (lidar_stack)
    motion: bool = False  # the agents' true velocities (agent_motion): an oracle, which cannot drive
    futures: bool = False  # the agents' next 4 s (agent_future), in supervised splits
    anchors: bool = False  # trajectories to choose from: sampled_anchor, and future_map, where they lead
    labels: bool = False  # how every anchor scores in simulation (sim_reward)
