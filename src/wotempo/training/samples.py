"""A few samples of a batch as plain arrays, for pictures (see wotempo.report.pictures.scene_picture)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from wotempo.batch import Batch
from wotempo.training.history_evidence import observed_plan
from wotempo.training.module import LitPlanner


@torch.no_grad()
def collect_samples(module: LitPlanner, batch: Batch, count: int) -> dict[str, np.ndarray]:
    """The first ``count`` samples of ``batch``: inputs, the stage's own warp of the LiDAR history and of the maps that
    it fuses (norm over channels, NaN where a frame shows nothing), truth and plan."""
    plan, (bev, pose, _, valid), _ = observed_plan(module, batch)
    aligned, mask = module.model.fusion.warp_history(bev, pose, valid)
    absent = ~valid[..., None, None]
    lidar = batch["lidar"][batch["frame_index"]].float() / module.model.config.lidar_max  # (B, T, 1, R, C)
    warped, _ = module.warp_history(lidar, batch)
    current = batch["frame_index"][:, -1]
    fields: dict[str, Any] = {
        "camera": batch["camera"][current].permute(0, 2, 3, 1),
        "lidar": lidar[:, :, 0],
        "warped": warped[:, :, 0],
        "feature": bev.norm(dim=2).masked_fill(absent, float("nan")),
        "feature_warped": aligned.norm(dim=2).masked_fill(~mask[:, :, 0], float("nan")),
        "valid": batch["valid"],
        "bev_truth": batch["bev_map"],
        "bev_predicted": plan["bev_semantic_map"].argmax(1).to(torch.uint8),
        "expert": batch["trajectory"],
        "plan": plan["trajectory"],
        **{name: plan[name] for name in ("all_trajectory", "final_rewards") if name in plan},
    }
    arrays = {name: value[:count].float().cpu().numpy() for name, value in fields.items()}
    for name in ("camera", "bev_truth", "bev_predicted"):
        arrays[name] = arrays[name].astype(np.uint8)
    arrays["token"] = np.array(batch["tokens"][:count])
    return arrays
