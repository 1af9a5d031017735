"""The shape contract of a run: named dimensions, each with one size everywhere (criterion `shapes`)."""

from __future__ import annotations

from wotempo.planners.config import POINTS, ModelConfig


def shape_contract(config: ModelConfig, num_frames: int, level: str = "bev8") -> dict[str, str]:
    """``{place: dimensions and dtype}`` for a model of ``config`` that fuses ``num_frames`` frames at ``level``."""
    rows, cols = config.map_shape
    channels, grid = config.level(level)
    stack = {"batch.lidar_stack": f"B {num_frames} 1 {grid.rows} {grid.cols} uint8"} if level == POINTS else {}
    seen = {"batch.camera": f"F 3 {config.image_height} {config.image_width} uint8"}
    if config.frozen_backbone:
        seen = {"batch.bev": f"F {channels} {grid.rows} {grid.cols} float"}
    return (
        stack
        | seen
        | {
            "batch.lidar": f"F 1 {config.lidar_shape[0]} {config.lidar_shape[1]} uint8",
            "batch.frame_index": f"B {num_frames} int64",
            "batch.valid": f"B {num_frames} bool",
            "batch.pose": f"B {num_frames} 3 float",
            "batch.dt": f"B {num_frames} float",
            "batch.status": f"B {config.status_size} float",
            "batch.trajectory": f"B {config.num_poses} 3 float",
            "batch.sim_reward": "B 5 N float",
            "batch.bev_map": f"B {rows} {cols} uint8",
            "batch.sampled_anchor": "B S int64",
            "batch.future_map": f"B S {rows} {cols} uint8",
            "model.fusion:in.0": f"B {num_frames} {channels} {grid.rows} {grid.cols} float",
            "model.fusion:out": f"B {channels} {grid.rows} {grid.cols} float",
            "model:out.im_rewards": "B N float",
            "model:out.sim_rewards": "B 5 N float",
            "model:out.trajectory_offset": f"B N {config.num_poses} 3 float",
            "model:out.trajectory_offset_rewards": "B N float",
            "model:out.bev_semantic_map": f"B {config.num_bev_classes} {rows} {cols} float",
            "model:out.fut_bev_semantic_map": f"M {config.num_bev_classes} {rows} {cols} float",
        }
    )
