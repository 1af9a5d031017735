"""ImageNet weights for the camera encoder, from a file of the user's, all or nothing.

(The public code loads its file non-strictly: a file with other key names leaves the encoder random without a word.)
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wotempo.checkpoints.plain_file import read_plain
from wotempo.errors import UserError
from wotempo.planners.base import Planner


def load_image_encoder(model: Planner, path: str | Path) -> dict[str, Any]:
    """Loads timm or torchvision ResNet weights (``.pth`` state dict or ``.safetensors``) into the camera encoder ->
    {path, sha256, tensors}, for the run's records.

    Every tensor of the encoder must be in the file with its shape, and nothing else but the classifier ``fc.*``, which
    is dropped. UserError otherwise. (Old torchvision files lack ``num_batches_tracked``: torch then starts it at 0.)
    """
    path = Path(path)
    weights = {key: value for key, value in _read(path).items() if not key.startswith("fc.")}
    encoder = model.frame_encoder.image_encoder
    try:
        encoder.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        first = " ".join(str(error).splitlines()[1:3]).strip()[:300]
        raise UserError(
            f"{path} does not fit the camera encoder ({first}): give ResNet weights with BasicBlocks "
            f"{list(model.config.stage_blocks)} and channels {list(model.config.stage_channels)}"
        ) from None
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "tensors": len(weights)}


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        weights = read_plain(path)
    elif not path.is_file():
        raise UserError(f"there is no file {path}: give the one with the camera encoder's weights")
    else:
        try:
            weights = dict(load_file(path))
        except SafetensorError as error:
            raise UserError(
                f"{path} is no readable file of weights ({str(error).splitlines()[0][:120]}): download it anew"
            ) from None
    if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()):
        raise UserError(f"{path} holds no plain state dict: save the encoder's state_dict() itself")
    return weights
