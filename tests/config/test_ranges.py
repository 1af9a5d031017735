"""Numbers out of their range, and options that Lightning refuses, are named before anything is prepared."""

from __future__ import annotations

import math
import typing
from copy import deepcopy
from dataclasses import is_dataclass, replace
from operator import attrgetter

import pytest
from hydra import compose

from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.config.ranges import RANGES, check_ranges
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.runs.build import require_trainer


@pytest.fixture(scope="module")
def config() -> RunConfig:
    with loaded():
        return check_config(compose("train", overrides=["run_dir=unset"]))


def numeric_keys(schema: type, place: str = "") -> set[str]:
    found = set()
    for name, kind in typing.get_type_hints(schema).items():
        if is_dataclass(kind):
            found |= numeric_keys(kind, f"{place}{name}.")
        elif {int, float, tuple[int, ...], tuple[float, ...]} & {kind, *typing.get_args(kind)}:
            found.add(place + name)
    return found


def test_every_number_of_the_schema_has_a_range():
    assert numeric_keys(RunConfig) == set(RANGES)


def with_value(config: RunConfig, key: str, value: object) -> RunConfig:
    place, _, name = key.rpartition(".")
    changed = deepcopy(config)
    if place == "model":  # frozen
        object.__setattr__(changed.model, name, value)
    else:
        setattr(attrgetter(place)(changed) if place else changed, name, value)
    return changed


@pytest.mark.parametrize("key", RANGES)
def test_what_lies_outside_is_named_with_its_limit(config, key):
    least, most = RANGES[key]
    many = isinstance(attrgetter(key)(config), tuple)
    for value, says in [
        (math.floor(least) - 1, f"{key} is {math.floor(least) - 1}: set it to {least:g} or more"),
        (int(most) + 1, f"{key} is {int(most) + 1}: set it to {most:g} or less"),
        (math.nan, f"{key} is nan: set it to a finite number"),
        (math.inf, f"{key} is inf: set it to {most:g} or less"),
    ]:
        with pytest.raises(UserError) as refused:
            check_ranges(with_value(config, key, (value, value) if many else value))
        assert str(refused.value) == says


BAD = [
    "losses.map=.nan",
    "losses.im_reward=inf",
    "acceptance.loss.min_drop=nan",
    "fusion.frame_dropout=nan",
    "trainer.threads=0",
    "trainer.gradient_clip_val=-1",
    "optimiser.warmup_fraction=2",
    "seed=4294967296",
    "model.lidar_max=300",
    "optimiser.weight_decay=-1",
    "model.image_height=0",
    "fusion.frame_dropout=much",
    "fusion.frame_dropout=[]",
    "acceptance.loss.min_drop=much",
    "acceptance.loss.min_batches=1.5",
    "acceptance.plan.rivals=standing",
    "acceptance.loss.policy=halt",
    "acceptance.complete.min_epochs=few",
    "trainer.ema=word",
    "trainer.ema=0",
    "trainer.ema=1",
    "optimiser.lr=0",
    "optimiser.lr=1",
]


@pytest.mark.parametrize("override", BAD)
def test_a_composed_config_is_checked(override):
    with loaded():
        raw = compose("train", overrides=["run_dir=unset", override])
    with pytest.raises(UserError, match=override.split("=")[0]):
        check_config(raw)


@pytest.mark.parametrize(
    ("key", "value"),
    [("strategy", "dpp"), ("devices", 0), ("devices", "two"), ("devices", -3), ("max_time", "soon"),
     ("limit_train_batches", 1.5), ("limit_val_batches", -0.5)],
)  # fmt: skip
def test_what_lightning_refuses_is_refused_before(config, tmp_path, key, value):
    changed = replace(config, trainer=replace(config.trainer, **{key: value}))
    with pytest.raises(UserError, match=f"Lightning refuses the options of trainer .*{key}={value}"):
        require_trainer(changed, tmp_path)


def test_a_trainer_that_can_be_is_not_refused(config, tmp_path):
    require_trainer(config, tmp_path)
    assert list(tmp_path.iterdir()) == []
