"""Keys that have another name today are understood under their former one."""

from __future__ import annotations

import sys

import pytest
from omegaconf import OmegaConf

from wotempo.command_line.entry import run
from wotempo.command_line.renamed import RENAMED, with_present_names
from wotempo.commands import drive, evaluate, labels


@pytest.mark.parametrize("module", [drive, evaluate, labels])
def test_the_former_key_has_the_effect_of_the_present_one(module, monkeypatch, capsys):
    name = module.__name__.rpartition(".")[2]
    ((former, present),) = RENAMED[name].items()
    value = "[tset]" if former.endswith("s") else "tset"
    told = []
    for key in (former, present):
        monkeypatch.setattr(
            sys, "argv", [name, f"{key}={value}", "checkpoint=pyproject.toml"][: 2 + (name != "labels")]
        )
        with pytest.raises(SystemExit) as ended:
            run(name, object, module.check, module.work)
        told.append((ended.value.code, capsys.readouterr().err))
    assert told[0] == told[1]
    assert told[0][0] == 2
    assert "tset" in told[0][1]


def test_only_whole_keys_of_that_command_are_renamed():
    words = ["stage=val", "data.stage=x", "--multirun", "stage", "checkpoint=stage=1.ckpt"]
    renamed = ["split=val", "data.stage=x", "--multirun", "stage", "checkpoint=stage=1.ckpt"]
    assert with_present_names("evaluate", words) == renamed
    assert with_present_names("train", words) == words


def test_two_former_keys_of_missing_files_are_one_today():
    def present(*words):
        return with_present_names("train", ["a=b", *words])

    assert present("data.missing=skip", "data.missing_history=error") == ["a=b", "data.missing=drop"]
    assert present("data.missing_history=mask") == ["a=b", "data.missing=mask"]
    assert present("data.missing_history=mask", "data.missing=skip") == ["a=b", "data.missing=mask"]
    kept = ("data.missing=drop", "agent.missing_history=mask")
    assert present(*kept) == ["a=b", *kept]


def test_every_present_key_is_one_of_its_command(request):
    for command, keys in RENAMED.items():
        known = OmegaConf.load(request.config.rootpath / "configs" / f"{command}.yaml")
        assert set(keys.values()) <= set(known)
        assert not set(keys) & set(known)
