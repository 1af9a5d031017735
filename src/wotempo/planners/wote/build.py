"""A WoTE from plain data, for what knows that it has a WoTE before it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from wotempo.planners.config import ModelConfig
from wotempo.planners.registry import build_planner
from wotempo.planners.wote.wote import WoTE


def build_wote(config: ModelConfig, fusion: dict[str, Any], anchors: np.ndarray | None) -> WoTE:
    """See ``build_planner``. ``anchors`` (N, 8, 3): in a checkpoint they are ``trajectory_anchors``."""
    return cast(WoTE, build_planner("wote", config, fusion, anchors))
