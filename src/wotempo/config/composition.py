"""The configurations of a command line: one, or one per job of a sweep, composed by Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wotempo.config.packaged import PackagedConfigs
from wotempo.configs import option_names
from wotempo.errors import UserError, nearest, unknown_key


def _flat_keys(tree: Any, prefix: str = "") -> list[str]:
    """Dotted names of all keys of a nested dict."""
    keys: list[str] = []
    for key, node in tree.items():
        keys.append(f"{prefix}{key}")
        if isinstance(node, dict):
            keys += _flat_keys(node, f"{prefix}{key}.")
    return keys


@contextmanager
def loaded(config_dir: str | None = None) -> Iterator[None]:
    """Inside, configurations are composed of the project's yamls and of those in ``config_dir``, a folder with groups
    of its own (``--config-dir``). UserError where there is no such folder."""
    setbase("1.3")
    path = create_config_search_path(f"{PackagedConfigs.scheme()}://wotempo.configs")
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise UserError(f"--config-dir: there is no folder {config_dir}")
        given = f"file://{Path(config_dir).absolute()}"
        path.prepend("command-line", given, SearchPathQuery(provider="schema", path=None))  # where hydra.main puts it
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2("wotempo", path)
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


def parsed(overrides: Sequence[str]) -> list[Override]:
    """By Hydra's own parser. UserError where it cannot read one."""
    known = GlobalHydra.instance()
    parser = OverridesParser.create(known.config_loader() if known.is_initialized() else None)
    found = []
    for text in overrides:
        try:
            found += parser.parse_overrides([text])  # alone it would know no groups
        except HydraException as error:
            bare = not re.search(r"[=~]", text)
            why = "is not of the form key=value" if bare else f"cannot be read: {str(error).splitlines()[0]}"
            raise UserError(f"'{text}' {why}") from None
    return found


def swept(overrides: Sequence[str]) -> list[str]:
    """Keys and groups with several values."""
    return [override.key_or_group for override in parsed(overrides) if override.is_sweep_override()]


def jobs_of(overrides: Sequence[str]) -> list[list[str]]:
    """The override lists of a sweep's jobs: the cartesian product, in which the later of two values for a key counts.
    UserError where a range cannot be listed, or one matches nothing."""
    choices: dict[str, list[str]] = {}
    for override in parsed(overrides):
        key, text = override.get_key_element(), str(override.input_line)
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise UserError(f"'{text}' names no values that a sweep could list: use choice(…), range(…) or a,b")
            try:
                values = list(override.sweep_string_iterator())
            except HydraException as error:  # glob of what is no group
                raise UserError(f"'{text}' cannot be listed: {str(error).splitlines()[0]}") from None
            if not values:
                raise UserError(f"'{text}' matches nothing: {option_hint(override.key_or_group)}")
            choices[key] = [f"{key}={value}" for value in values]
        else:
            choices[key] = [text]
    return [list(job) for job in product(*choices.values())]


def option_hint(group: str) -> str:
    """What a group of the configuration offers."""
    return f"known: {', '.join(option_names(group)) or 'nothing, there is no such group'}"


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
    """What ``hydra.sweeper.params`` of the chosen configs adds, before the command line, which wins."""
    config = compose_checked(config_name, jobs_of(overrides)[0], with_hydra=True)
    if not str(config.hydra.sweeper._target_).endswith(".BasicSweeper"):
        raise UserError("another hydra/sweeper than basic is not known here: make search varies keys by Optuna")
    params = config.hydra.sweeper.get("params") or {}
    return [f"{key}={value}" for key, value in params.items()]
