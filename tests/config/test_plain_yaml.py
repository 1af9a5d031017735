"""Yaml as ``values`` reads it, without Hydra: what OmegaConf makes of the same files."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from wotempo.configs import FOLDER, values

NAMES = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))


def as_omegaconf_reads_it(name: str) -> DictConfig:
    content = OmegaConf.load(FOLDER / f"{name}.yaml")
    listed = [base for base in content.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    bases = [as_omegaconf_reads_it(str(Path(name).parent / base.removesuffix("@_here_"))) for base in listed]
    return OmegaConf.merge(*bases, content)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_omegaconf(name):
    try:
        expected = OmegaConf.to_container(as_omegaconf_reads_it(name))
    except FileNotFoundError:  # its defaults list names groups of the whole configuration
        with pytest.raises(FileNotFoundError):
            values(name)
        return
    found = values(name)
    assert found == expected
    assert [type(x) for x in _leaves(found)] == [type(x) for x in _leaves(expected)]


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _leaves(value[key])]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


def test_what_is_read_is_the_callers_own():
    values("train")["optimiser"]["lr"] = 7
    assert values("train")["optimiser"]["lr"] == 1e-4
