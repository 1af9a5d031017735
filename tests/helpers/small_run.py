"""The overrides of configs/profile/micro.yaml: they make `make train-convgru-1epoch` a training run of seconds."""

from importlib.resources import files
from typing import Any

import yaml

PREPARED = ("data.", "model.image_", "model.map_", "model.num_anchors")


def flat(values: dict[str, Any], before: str = "") -> list[str]:
    """``key.key=value`` for each value."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += flat(value, f"{before}{key}.")
        else:
            found.append(f"{before}{key}={str(value).lower().replace(' ', '')}")
    return found


_PROFILE = yaml.safe_load(files("wotempo.configs").joinpath("profile", "micro.yaml").read_text())
_WORDS = flat({key: value for key, value in _PROFILE.items() if key != "defaults"})
MICRO = tuple(word for word in _WORDS if word.startswith(PREPARED))
"""Data, anchors and labels of the fixture micro_workspace."""
NETWORK = tuple(word for word in _WORDS if word.startswith("model.") and word not in MICRO)
"""Half the time of a step of the tiny preset's network."""
SMALL = (*_WORDS, "trainer.progress_bar=false", "tracking=off")
