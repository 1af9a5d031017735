"""The targets of a scene: trajectory, agents, BEV maps now and in 4 s, and the anchors' simulated scores."""

from wotempo.targets.agents import agent_target
from wotempo.targets.bev_map import bev_map_target, future_base_map, paint_ego
from wotempo.targets.future import agent_future
from wotempo.targets.labels import open_labels
from wotempo.targets.motion import agent_motion
from wotempo.targets.sampling import sampled_anchors
from wotempo.targets.spec import TargetSpec
from wotempo.targets.trajectory import trajectory_target

__all__ = [
    "TargetSpec",
    "agent_future",
    "agent_motion",
    "agent_target",
    "bev_map_target",
    "future_base_map",
    "open_labels",
    "paint_ego",
    "sampled_anchors",
    "trajectory_target",
]
