"""Sections of a run's configuration with the values of configs/, for tests that compose no whole run."""

from __future__ import annotations

from typing import Any

from hydra import compose
from wotempo.configs import values

from wotempo.capacity.machine import MachineConfig
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.config.schema import RunConfig, TrackingConfig
from wotempo.planners.wote.losses import LossWeights
from wotempo.training.optimiser import OptimiserConfig


def loss_weights(**changes: Any) -> LossWeights:
    return LossWeights(**{**values("planner/wote")["losses"], **changes})


def optimiser(**changes: Any) -> OptimiserConfig:
    return OptimiserConfig(**{**values("train")["optimiser"], **changes})


def tracking(**changes: Any) -> TrackingConfig:
    return TrackingConfig(**{**values("tracking/default"), **changes})


def machine(**changes: Any) -> MachineConfig:
    return MachineConfig(**{**values("machine/default"), **changes})


def run_config(*overrides: str) -> RunConfig:
    """The checked configuration of a training run whose folder is not known yet."""
    with loaded():
        return check_config(compose("train", overrides=[*overrides, "run_dir=unset"]))
