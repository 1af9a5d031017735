"""The Hydra configuration of wotempo: every default value stands here, in yaml, and nowhere else.

``values`` reads a yaml without Hydra, for code that is given no composed configuration; a machine that only measures
(docs/gpu.md) need not have Hydra.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent

# The ConvGRU under each control of docs/fusion.md, as variant=<control>: options of the group beside its yamls.
CONTROLS = (
    "no_warp", "pose_only", "repeat_current", "shuffle_history", "single_frame_wide", "stale_history", "wrong_pose",
)  # fmt: skip
LONGEST = 255  # bytes of a file's name


def one_folder(overrides: str) -> str:
    """The name of a folder for the runs of these overrides: as they stand, where that is a name; else with their
    slashes as underscores, cut, and eight hex digits of the whole. "run" where they are none."""
    if "/" not in overrides and overrides not in (".", "..") and 0 < len(overrides.encode()) <= LONGEST:
        return overrides
    if not overrides:
        return "run"
    plain = overrides.replace("/", "_").encode()[: LONGEST - 9].decode(errors="ignore")
    return f"{plain}_{hashlib.sha256(overrides.encode()).hexdigest()[:8]}"


def _offer_to_hydra() -> None:
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    for control in CONTROLS:
        under = {"defaults": [{"override /fusion": "convgru"}], "fusion": {"control": control}}
        ConfigStore.instance().store(group="variant", name=control, node=under, package="_global_")
    OmegaConf.register_new_resolver("one_folder", one_folder, replace=True)


if find_spec("hydra") is not None:
    _offer_to_hydra()


class _Loader(yaml.SafeLoader):
    """YAML as Hydra reads it: 1e-4 is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


@cache
def _read(name: str) -> dict[str, Any]:
    content = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), _Loader) or {}  # all of it comments
    listed = [base for base in content.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    merged: dict[str, Any] = {}
    for base in listed:
        merged = _over(merged, _read(str(Path(name).parent / base.removesuffix("@_here_"))))
    return _over(merged, content)


def _over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Both together; where both have a value, the upper one's."""
    both = {key: (lower[key], upper[key]) for key in lower.keys() & upper.keys()}
    nested = {key: _over(a, b) for key, (a, b) in both.items() if isinstance(a, dict) and isinstance(b, dict)}
    return {**lower, **upper, **nested}


def values(name: str) -> dict[str, Any]:
    """The content of ``<name>.yaml``, e.g. ``fusion/convgru``, over that of the files beside it that its defaults list
    names, as plain data. Interpolations stay text. FileNotFoundError for a name without a file."""
    return deepcopy(_read(name))  # the caller may change it


def option_names(group: str) -> list[str]:
    """Names of the yamls of a group, e.g. ``model``."""
    return sorted(path.stem for path in (FOLDER / group).glob("*.yaml"))


def completed(section: str, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """A section (``model``, ``losses``, ``optimiser``) as a checkpoint stores it, None if it does not, with what the
    absence of keys younger than that checkpoint meant (configs/older/keys.yaml)."""
    return {**values("older/keys")[section], **(stored or {})}
