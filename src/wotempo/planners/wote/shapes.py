"""The shape contract of WoTE: named dimensions, each with one size everywhere (criterion `shapes`)."""

from __future__ import annotations

from wotempo.planners.config import ModelConfig
from wotempo.planners.shapes import common_contract


def shape_contract(config: ModelConfig, num_frames: int, level: str = "bev8") -> dict[str, str]:
    """``{place: dimensions and dtype}`` for a model of ``config`` that fuses ``num_frames`` frames at ``level``."""
    rows, cols = config.map_shape
    return common_contract(config, num_frames, level) | {
        "batch.sim_reward": "B 5 N float",
        "batch.sampled_anchor": "B S int64",
        "batch.future_map": f"B S {rows} {cols} uint8",
        "model:out.im_rewards": "B N float",
        "model:out.sim_rewards": "B 5 N float",
        "model:out.trajectory_offset": f"B N {config.num_poses} 3 float",
        "model:out.trajectory_offset_rewards": "B N float",
        "model:out.fut_bev_semantic_map": f"M {config.num_bev_classes} {rows} {cols} float",
    }
