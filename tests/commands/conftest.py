"""A micro town without pictures, made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Path:
    """Logs and maps, and 64 anchors in ``anchors.npy``; data.kind=navsim reads it."""
    from wotempo.city import build_city, city_config, simulate_futures
    from wotempo.navsim import write_anchors

    root = tmp_path_factory.mktemp("labels") / "town"
    config = replace(city_config("micro"), cameras=())
    build_city(root, config)
    write_anchors(root / "anchors.npy", simulate_futures(config, 64, seed=0))
    return root
