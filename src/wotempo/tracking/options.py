"""The options that every command gives to wandb, and the key that its service wants."""

from __future__ import annotations

import os
from typing import Any, cast

from wotempo.config.schema import TrackingConfig
from wotempo.errors import UserError
from wotempo.tracking.service import base_url, stored_key, unreachable

FINISH_S = 600.0  # for which the end of a run waits for the service
KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def wandb_options(tracking: TrackingConfig) -> dict[str, Any]:
    """Keywords of ``wandb.init``. ``online`` becomes ``offline``, which is said, where the service does not answer.
    UserError where the mode wants a key, or the service refuses it."""
    import wandb

    mode = tracking.wandb
    if mode == "online":
        require_key("tracking.wandb=online", "set tracking.wandb=offline and run make wandb-sync later")
        if (reason := unreachable(url := base_url())) is not None:
            print(f"wandb's service {url} does not answer ({reason}): it goes on offline, make wandb-sync uploads it")
            mode = "offline"
    settings = wandb.Settings(silent=True, mode=cast(Any, mode))
    if "finish_timeout" in type(settings).model_fields:  # of later versions; earlier ones wait for ever
        settings.finish_timeout = FINISH_S
    return {"project": tracking.project, "entity": tracking.entity, "settings": settings}


def require_key(what: str, instead: str) -> None:
    """UserError unless the environment or ``~/.netrc`` has a key for the service."""
    if not any(os.environ.get(name) for name in KEYS) and stored_key(base_url()) is None:
        raise UserError(f"{what} needs a key: run 'wandb login' or set WANDB_API_KEY, or {instead}")
