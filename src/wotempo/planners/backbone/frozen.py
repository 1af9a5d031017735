"""The frozen encoder of a model as a function of single frames, for caching its maps."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
import torch
from torch import nn

from wotempo.planners.base import Planner


def weights_hash(module: nn.Module) -> str:
    """16 hex digits over names, types and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class FrozenEncoder:
    """``Planner.encode`` in evaluation, of one frame at a time, on ``device``."""

    def __init__(self, model: Planner, device: torch.device | str = "cpu") -> None:
        self._model = copy.deepcopy(model).to(device).eval()
        self.fingerprint = weights_hash(model.frame_encoder)
        self.shape = (model.config.bev_channels, *model.config.bev_grid.shape)

    @torch.no_grad()
    def __call__(self, camera: np.ndarray, lidar: np.ndarray) -> np.ndarray:
        """camera (3, H, W), lidar (1, R, C) uint8 -> (C, rows, cols) float32."""
        images, points = (torch.from_numpy(pixels.copy()).to(self._model.device) for pixels in (camera, lidar))
        bev = self._model.encode(images[None] / 255.0, points[None] / float(self._model.config.lidar_max))
        return bev[0].float().cpu().numpy()
