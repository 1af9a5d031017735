"""The options that every command gives to wandb, and the key that its service wants."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from wotempo.config.schema import TrackingConfig
from wotempo.errors import UserError

KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def wandb_options(tracking: TrackingConfig) -> dict[str, Any]:
    """Keywords of ``wandb.init``. UserError where the mode wants a key."""
    import wandb

    if tracking.wandb == "online":
        require_key("tracking.wandb=online", "set tracking.wandb=offline and run make wandb-sync later")
    settings = wandb.Settings(silent=True, mode=cast(Any, tracking.wandb))
    return {"project": tracking.project, "entity": tracking.entity, "settings": settings}


def require_key(what: str, instead: str) -> None:
    """UserError unless the environment or ``~/.netrc`` has a key for the service."""
    if not any(os.environ.get(name) for name in KEYS) and not _in_netrc():
        raise UserError(f"{what} needs a key: run 'wandb login' or set WANDB_API_KEY, or {instead}")


def _in_netrc() -> bool:
    """Where ``wandb login`` writes it, under the host of the service."""
    import wandb

    file = Path(os.environ.get("NETRC", Path.home() / ".netrc")).expanduser()
    host = urlsplit(wandb.Settings().base_url).netloc
    try:
        return file.is_file() and netrc.netrc(file).authenticators(host) is not None
    except netrc.NetrcParseError as error:
        raise UserError(f"{file} cannot be read ({error}): mend it, or set WANDB_API_KEY") from None
