"""The configurations of a command line: one, or one per job of a sweep, composed by Hydra."""

from __future__ import annotations

import re
from itertools import islice, product
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wotempo.errors import UserError, nearest, unknown_key

MAX_CHECKED_JOBS = 64


def _flat_keys(tree: Any, prefix: str = "") -> list[str]:
    """Dotted names of all keys of a nested dict."""
    keys: list[str] = []
    for key, node in tree.items():
        keys.append(f"{prefix}{key}")
        if isinstance(node, dict):
            keys += _flat_keys(node, f"{prefix}{key}.")
    return keys


def jobs_of(overrides: list[str]) -> list[list[str]]:
    """The override lists of a sweep's jobs (the cartesian product), at most MAX_CHECKED_JOBS of them."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    choices = []
    for text, override in zip(overrides, parsed, strict=True):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([text])
    return [list(job) for job in islice(product(*choices), MAX_CHECKED_JOBS)]


def compose_checked(config_name: str, overrides: list[str], with_hydra: bool = False) -> DictConfig:
    """Compose, or say in one sentence what is wrong and which name is nearest. ``with_hydra``: with Hydra's own keys,
    below ``hydra``."""
    try:
        return compose(config_name=config_name, overrides=overrides, return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_explain(config_name, str(error))) from None


def _explain(config_name: str, message: str) -> str:
    unknown_option = re.search(r"Could not find '([^']*?)([^'/]+)'", message)
    if unknown_option:
        available = re.findall(r"^\t(\S+)$", message, re.M)
        group = unknown_option.group(1).strip("/")
        hint = nearest(unknown_option.group(2), available)
        rest = "" if hint.startswith("known") else f" Known: {', '.join(available)}"
        return f"there is no {group} '{unknown_option.group(2)}': {hint}{rest}"
    named = re.search(r"Could not override '([^']+)'", message) or re.search(r"full_key: (\S+)", message)
    if named:
        key = named.group(1).split("@")[0]
        known = _flat_keys(OmegaConf.to_container(compose(config_name=config_name)))
        if key in known:
            return f"config key '{key}' is not there with the options that are chosen: +{key}=… adds it"
        added = f" (or +{key}=… for what its constructor takes)" if key.startswith("acceptance.") else ""
        return f"{unknown_key(key, known)}{added}"
    return " ".join(line.strip() for line in message.splitlines() if line.strip())[:400]


def sweep_overrides(config_name: str, overrides: list[str]) -> list[str]:
    """What ``hydra.sweeper.params`` of the chosen configs adds; the command line wins."""
    config = compose_checked(config_name, jobs_of(overrides)[0], with_hydra=True)
    params = config.hydra.sweeper.get("params") or {}
    given = {text.split("=", 1)[0].lstrip("+~") for text in overrides}
    return [f"{key}={value}" for key, value in params.items() if key not in given]
