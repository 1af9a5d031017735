"""A model that plans, read from a checkpoint of this project or of the public code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from wotempo.checkpoints.plain_file import read_plain
from wotempo.interop.compare import check_tensors
from wotempo.interop.official import OFFICIAL_PREFIX, import_official
from wotempo.interop.trained import OTHER_MODEL, PREFIX, described
from wotempo.interop.weights import ANCHORS, NO_FUSION, wanted_tensors, without_prefix
from wotempo.planners.config import WOTE, ModelConfig
from wotempo.planners.wote.build import build_wote
from wotempo.planners.wote.wote import WoTE


def read_planner(path: str | Path) -> WoTE:
    """A checkpoint of this project, with any fusion stage, or an official WoTE's of the published sizes -> the model in
    eval mode, on the CPU, with the anchors of the file. UserError (DifferentWeights) names what does not fit."""
    path = Path(path)
    content = read_plain(path)
    state = content.get("state_dict", content)
    if isinstance(state, dict) and any(str(key).startswith(OFFICIAL_PREFIX) for key in state):
        anchors = state.get(OFFICIAL_PREFIX + ANCHORS)
        sizes = replace(WOTE, num_anchors=len(anchors)) if isinstance(anchors, Tensor) and anchors.ndim else WOTE
        weights = import_official(path, sizes)
        return _loaded(weights.config, dict(NO_FUSION), weights.tensors)
    config, fusion, state = described(path, content)
    fusion = fusion or dict(NO_FUSION)
    check_tensors(path, state, wanted_tensors(config, PREFIX, fusion), OTHER_MODEL)
    return _loaded(config, fusion, without_prefix(state, PREFIX))


def _loaded(config: ModelConfig, fusion: dict[str, Any], tensors: dict[str, Tensor]) -> WoTE:
    model = build_wote(config, fusion, tensors[ANCHORS].float().numpy())
    model.load_state_dict(tensors)
    return model.eval()
