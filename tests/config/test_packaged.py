"""Configurations are composed of yamls that are parsed once, and are those that Hydra composes by itself."""

from __future__ import annotations

import os

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from wotempo.config.composition import loaded
from wotempo.config.packaged import PackagedConfigs

CHOICES = ["run_dir=unset", "experiment=convgru_5epoch", "model=wote_tiny", "variant=wrong_pose", "trainer=ddp"]


@pytest.mark.parametrize("config", ["train", "labels"])
def test_it_is_what_hydra_composes(config):
    given = CHOICES if config == "train" else []
    with initialize_config_module("wotempo.configs", version_base="1.3"):
        plain = OmegaConf.to_container(compose(config, overrides=given))
    with loaded():
        found = OmegaConf.to_container(compose(config, overrides=given))
    assert found == plain


def test_a_change_stays_in_its_configuration():
    with loaded():
        first = compose("train", overrides=CHOICES)
        first.trainer.max_epochs = 77
        first.data.train.split = "another"
        second = compose("train", overrides=CHOICES)
    assert second.trainer.max_epochs == 5
    assert second.data.train.split != "another"


def test_a_file_that_changed_is_parsed_anew(tmp_path, monkeypatch):
    package = tmp_path / "some_configs"
    package.mkdir()
    (package / "__init__.py").touch()
    file = package / "one.yaml"
    file.write_text("key: 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = PackagedConfigs("main", "packaged://some_configs")
    assert [source.load_config("one").config.key for _ in range(2)] == [1, 1]
    assert sum(path == file for _, path, _ in PackagedConfigs.parsed) == 1
    file.write_text("key: 2\n")
    os.utime(file, (1, 1))
    assert source.load_config("one").config.key == 2
