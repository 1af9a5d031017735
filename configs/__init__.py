"""The Hydra configuration of wotempo: every default value stands here, in yaml, and nowhere else.

``values`` reads a yaml without Hydra, for code that is given no composed configuration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

FOLDER = Path(__file__).parent

# The ConvGRU under each control of docs/fusion.md, as variant=<control>: options of the group beside its yamls.
CONTROLS = (
    "no_warp", "pose_only", "repeat_current", "shuffle_history", "single_frame_wide", "stale_history", "wrong_pose",
)  # fmt: skip
for control in CONTROLS:
    under = {"defaults": [{"override /fusion": "convgru"}], "fusion": {"control": control}}
    ConfigStore.instance().store(group="variant", name=control, node=under, package="_global_")

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


OmegaConf.register_new_resolver("one_folder", one_folder, replace=True)


@cache
def _read(name: str) -> DictConfig:
    content = OmegaConf.load(FOLDER / f"{name}.yaml")
    assert isinstance(content, DictConfig)
    listed = [base for base in content.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    bases = [_read(str(Path(name).parent / base.removesuffix("@_here_"))) for base in listed]
    merged = OmegaConf.merge(*bases, content)
    assert isinstance(merged, DictConfig)
    return merged


def values(name: str) -> dict[str, Any]:
    """The content of ``<name>.yaml``, e.g. ``fusion/convgru``, over that of the files beside it that its defaults list
    names, as plain data. Interpolations stay text. FileNotFoundError for a name without a file."""
    plain = OmegaConf.to_container(_read(name))
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def option_names(group: str) -> list[str]:
    """Names of the yamls of a group, e.g. ``model``."""
    return sorted(path.stem for path in (FOLDER / group).glob("*.yaml"))


def completed(section: str, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """A section (``model``, ``losses``, ``optimiser``) as a checkpoint stores it, None if it does not, with what the
    absence of keys younger than that checkpoint meant (configs/older/keys.yaml)."""
    return {**values("older/keys")[section], **(stored or {})}
