"""The configuration that a run wrote into its folder, to look at its data again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from wotempo.config.checks import check_config
from wotempo.config.missing import present
from wotempo.config.schema import RunConfig
from wotempo.configs import values
from wotempo.errors import UserError
from wotempo.planners.config import OLDEST
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
    if isinstance(data := OmegaConf.select(written, "data"), DictConfig):
        written.data = present({str(key): value for key, value in data.items()})
    if OmegaConf.select(written, "planner") not in (None, OLDEST):
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


# What lies in a place that runs have written to.
MADE_HERE = {
    "workspace": ("town-*/city*.json", "cache/*/frames-*", "cache/*/targets-*", "labels/*/index.json", "anchors/*.npy"),
    "data.cache": ("*/frames-*", "*/targets-*"),
    "data.root": ("city*.json", "navsim_logs"),
}


def require_own_places(run: Path, config: RunConfig, named: Collection[str] = ()) -> None:
    """UserError where a place that this configuration would have written to is none of yours: it lies outside of the
    current folder, holds nothing that a run has made, and is not ``named`` on the command line. A folder of a run may
    come from elsewhere."""
    for key, made in MADE_HERE.items():
        value = attrgetter(key)(config)
        if value is None or key in named:
            continue
        place = Path(value).resolve()
        if not place.is_relative_to(Path.cwd().resolve()) and not any(any(place.glob(pattern)) for pattern in made):
            raise UserError(
                f"{run / CONFIG}: {key} is {str(value)[:200]}, outside of this folder, and no run has written there: "
                f"resume the run with {key}=<folder> (this one, if it is yours)"
            )


def config_with_images(run: Path) -> RunConfig:
    """For windows with images, even where the run was trained on cached maps; files it started from may be gone."""
    changes = {"model.frozen_backbone": False, "init_from": None, "image_checkpoint": None}
    config = checked(run, stored(run), changes)
    require_own_places(run, config)
    return config
