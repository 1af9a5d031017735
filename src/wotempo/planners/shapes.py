"""The part of a shape contract that all planners share: the batch, the fusion stage, the semantic map."""

from __future__ import annotations

from wotempo.fusion import POINTS
from wotempo.planners.config import ModelConfig


def common_contract(config: ModelConfig, num_frames: int, level: str) -> dict[str, str]:
    """``{place: dimensions and dtype}`` for a model of ``config`` that fuses ``num_frames`` frames at ``level``."""
    rows, cols = config.map_shape
    channels, grid = config.level(level)
    stack = {"batch.lidar_stack": f"B {num_frames} 1 {grid.rows} {grid.cols} uint8"} if level == POINTS else {}
    seen = {"batch.camera": f"F 3 {config.image_height} {config.image_width} uint8"}
    if config.frozen_backbone:
        seen = {"batch.bev": f"F {channels} {grid.rows} {grid.cols} float"}
    return {
        **stack,
        **seen,
        "batch.lidar": f"F 1 {config.lidar_shape[0]} {config.lidar_shape[1]} uint8",
        "batch.frame_index": f"B {num_frames} int64",
        "batch.valid": f"B {num_frames} bool",
        "batch.pose": f"B {num_frames} 3 float",
        "batch.dt": f"B {num_frames} float",
        "batch.status": f"B {config.status_size} float",
        "batch.trajectory": f"B {config.num_poses} 3 float",
        "batch.imitation": "B bool",
        "batch.bev_map": f"B {rows} {cols} uint8",
        "model.fusion:in.0": f"B {num_frames} {channels} {grid.rows} {grid.cols} float",
        "model.fusion:out": f"B {channels} {grid.rows} {grid.cols} float",
        "model:out.bev_semantic_map": f"B {config.num_bev_classes} {rows} {cols} float",
    }
