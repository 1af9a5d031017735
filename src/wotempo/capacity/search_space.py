"""The space of a search, read from ``configs/search/<name>.yaml``, and its trials as overrides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

import wotempo.configs
from wotempo.errors import UserError, nearest
from wotempo.records.reading import read_mapping, readable

if TYPE_CHECKING:
    from optuna import Trial

FOLDER = Path(wotempo.configs.__path__[0]) / "search"
DIRECTIONS = ("minimize", "maximize")
RANGE = {"low", "high", "log", "step"}


@dataclass(frozen=True)
class Space:
    """``metric`` of ``metrics.json`` decides; ``keys``: key of the configuration -> {low, high[, log, step]} (whole
    numbers where both ends are) or {choices}."""

    name: str
    metric: str
    direction: str
    keys: dict[str, dict[str, Any]]

    def suggest(self, trial: Trial) -> list[str]:
        """Overrides of a trial."""
        return [f"{key}={text(self._value(trial, key))}" for key in self.keys]

    def _value(self, trial: Trial, key: str) -> Any:
        options = self.keys[key]
        if "choices" in options:
            return trial.suggest_categorical(key, options["choices"])
        whole = isinstance(options["low"], int) and isinstance(options["high"], int)
        return (trial.suggest_int if whole else trial.suggest_float)(key, **options)

    def corners(self) -> list[list[str]]:
        """Overrides that show whether the keys exist and take such values: all lowest, all highest."""
        ends = {key: options.get("choices") or (options["low"], options["high"]) for key, options in self.keys.items()}
        return [[f"{key}={text(of[end])}" for key, of in ends.items()] for end in (0, -1)]


def text(value: Any) -> str:
    """As Hydra reads it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_space(name: str) -> Space:
    """UserError where there is no such file, or it says something else than a space."""
    file = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not file.is_file():
        raise UserError(f"there is no search '{name}': {nearest(name, [f.stem for f in FOLDER.glob('*.yaml')])}")
    raw = readable(file, read_mapping, {})
    if set(raw) != {"metric", "direction", "space"} or not isinstance(raw["space"], dict):
        raise UserError(f"{file} must hold metric, direction and space, and nothing else")
    if not isinstance(raw["metric"], str):
        raise UserError(f"{file}: metric is {shortened(raw['metric'])}: name a number of metrics.json")
    if raw["direction"] not in DIRECTIONS:
        raise UserError(f"{file}: direction is {shortened(raw['direction'])}: set it to minimize or maximize")
    for key, options in raw["space"].items():
        _check(file, key, options)
    return Space(file.stem, raw["metric"], raw["direction"], raw["space"])


def _check(file: Path, key: str, options: Any) -> None:
    if isinstance(options, dict) and set(options) == {"choices"}:
        fits = isinstance(options["choices"], list) and bool(options["choices"])
    else:
        fits = isinstance(options, dict) and {"low", "high"} <= set(options) <= RANGE and _is_range(**options)
    if not fits:
        raise UserError(
            f"{file}: give {shortened(key)} either choices: [...], or numbers low: below high:, with step: above 0 "
            "(whole between whole ones) or, where low is above 0, log: true"
        )


def _is_range(low: Any, high: Any, log: Any = False, step: Any = None) -> bool:
    numbers = [low, high] if step is None else [low, high, step]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        return False
    whole = isinstance(low, int) and isinstance(high, int)
    steps = step is None or (step > 0 and (isinstance(step, int) or not whole))
    logs = log is False or (log is True and low > 0 and step is None)
    return low < high and steps and logs
