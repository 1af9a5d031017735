"""A model that plans, read from a checkpoint of this project or of the public code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from wotempo.checkpoints.plain_file import read_plain
from wotempo.checkpoints.rebuild import rebuild
from wotempo.interop.official import OFFICIAL_PREFIX, import_official
from wotempo.interop.trained import checkpoint_content
from wotempo.interop.weights import ANCHORS
from wotempo.planners.base import Planner
from wotempo.planners.config import sizes


def read_planner(path: str | Path) -> Planner:
    """A checkpoint of this project, of any planner and fusion stage, or an official WoTE's of the published sizes ->
    the model in eval mode, on the CPU, with the anchors of the file. UserError names what does not fit."""
    path = Path(path)
    content = read_plain(path)
    state = content.get("state_dict", content)
    if isinstance(state, dict) and any(str(key).startswith(OFFICIAL_PREFIX) for key in state):
        anchors = state.get(OFFICIAL_PREFIX + ANCHORS)
        published = sizes("wote")
        if isinstance(anchors, Tensor) and anchors.ndim:
            published = replace(published, num_anchors=len(anchors))
        content = checkpoint_content(import_official(path, published))
    return rebuild(path, content).model
