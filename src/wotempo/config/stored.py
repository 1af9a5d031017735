"""The configuration that a run wrote into its folder, to look at its data again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.configs import values
from wotempo.errors import UserError
from wotempo.records.reading import Damaged, read_mapping, readable
from wotempo.records.run_folders import CONFIG


def stored(run: Path) -> DictConfig:
    """As it was written, with what the absence of keys younger than the run meant. UserError where there is none,
    Damaged where it cannot be read."""
    raw = readable(run / CONFIG, _completed, None)
    if raw is None:
        raise UserError(f"{run / CONFIG} is missing: name the folder of a run")
    return raw


def _completed(file: Path) -> DictConfig:
    _refuse_lookups(read_mapping(file))  # keys and plain data, and none of yaml's aliases
    written, older = OmegaConf.load(file), values("older/keys")
    if "planner" in written:
        del older["losses"]  # those of WoTE
    raw = OmegaConf.merge(older, written)
    assert isinstance(raw, DictConfig)
    return raw


def _refuse_lookups(value: Any, key: str = "") -> None:
    """ValueError where a value would be looked up, as ``${oc.env:NAME}``: runs write values, and one that is looked up
    would tell a folder from elsewhere what this machine knows."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            _refuse_lookups(member, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for member in value:
            _refuse_lookups(member, key)
    elif isinstance(value, str) and "${" in value:
        raise ValueError(f"{key} is {value[:60]!r}, which would be looked up here")


def checked(run: Path, raw: DictConfig, changes: Mapping[str, Any]) -> RunConfig:
    """``check_config`` of a stored configuration with ``changes`` (by dotted key). Damaged where its values are none
    that a run has, such as a text in place of a model."""
    try:
        for key, value in changes.items():
            OmegaConf.update(raw, key, value)
        return check_config(raw)
    except UserError as error:
        raise UserError(f"{run / CONFIG}: {error}") from error
    except Exception as error:  # what is built of damaged values may fail in any line
        why = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise Damaged(f"{run / CONFIG} is no configuration of a run ({why}): copy it anew") from error


def config_with_images(run: Path) -> RunConfig:
    """For windows with images, even where the run was trained on cached maps; files it started from may be gone."""
    return checked(run, stored(run), {"model.frozen_backbone": False, "init_from": None, "image_checkpoint": None})
