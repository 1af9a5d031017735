"""A town refuses the list of pairs of another town, by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wotempo.city import build_city
from wotempo.city.dataset.config import SplitSize, TwinConfig
from wotempo.config.schema import DataConfig
from wotempo.datasets.town import Town
from wotempo.errors import UserError
from wotempo.navsim.twins import read_twins, write_twins

EMPTY = TwinConfig(SplitSize(0, 1), SplitSize(0, 0), SplitSize(0, 0), frames=14)


class Empty(Town):
    """A town of twins without any."""

    city = EMPTY


def test_it_names_both_towns(tmp_path: Path) -> None:
    data = DataConfig.__new__(DataConfig)
    object.__setattr__(data, "root", str(tmp_path / "town"))
    object.__setattr__(data, "prepare_workers", 1)
    town = Empty(data, str(tmp_path))
    build_city(tmp_path / "town", EMPTY)
    assert town.ready(lambda *_: None) == town.here()
    twins = read_twins(tmp_path / "town")
    assert twins is not None
    write_twins(tmp_path / "town", replace(twins, town="0123456789ab"))
    with pytest.raises(UserError, match=rf"pairs of another town \(0123456789ab, this one is {EMPTY.fingerprint}\)"):
        town.ready(lambda *_: None)
