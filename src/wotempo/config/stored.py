"""The configuration that a run wrote into its folder, to look at its data again."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.configs import values
from wotempo.errors import UserError


def stored(run: Path) -> DictConfig:
    """As it was written, with what the absence of keys younger than the run meant. UserError where there is none."""
    file = run / "config.yaml"
    if not file.is_file():
        raise UserError(f"{file} is missing: name the folder of a run")
    written, older = OmegaConf.load(file), values("older/keys")
    if "planner" in written:
        del older["losses"]  # those of WoTE
    raw = OmegaConf.merge(older, written)
    assert isinstance(raw, DictConfig)
    return raw


def config_with_images(run: Path) -> RunConfig:
    """For windows with images, even where the run was trained on cached maps; files it started from may be gone."""
    raw = stored(run)
    raw.model.frozen_backbone, raw.init_from, raw.image_checkpoint = False, None, None
    return check_config(raw)
