"""The rules of the key ``tracking``."""

from __future__ import annotations

from wotempo.config.schema import TrackingConfig
from wotempo.errors import UserError, nearest

MODES = ("offline", "online", "off")
KINDS = ("checkpoint", "checkpoint_reference", "verdict", "report")


def check_tracking(tracking: TrackingConfig) -> None:
    """UserError names the key and the nearest valid value."""
    if tracking.wandb not in MODES:
        raise UserError(f"tracking.wandb is '{tracking.wandb}'; set it to {', '.join(MODES)}")
    for kind in tracking.artifacts:
        if kind not in KINDS:
            raise UserError(f"tracking.artifacts has '{kind}': {nearest(kind, list(KINDS))}")
    if {"checkpoint", "checkpoint_reference"} <= set(tracking.artifacts):
        raise UserError("tracking.artifacts has checkpoint and checkpoint_reference: leave one of them out")
