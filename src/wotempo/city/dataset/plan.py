"""The logs of a town: the district, the split and the seed of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wotempo.city.dataset.config import CityConfig
from wotempo.city.dataset.frames import LogIdentity

_FIRST_DAYS = {  # so that no two splits share the name of a log
    "train": datetime(2021, 5, 10, tzinfo=UTC),
    "val": datetime(2021, 8, 16, tzinfo=UTC),
    "test": datetime(2021, 10, 4, tzinfo=UTC),
}
_SEASON = 49  # days before the first one of another split; then comes the next year


@dataclass(frozen=True)
class LogPlan:
    """One log to be made."""

    split: str  # train, val or test
    folder: str  # directory name of its logs
    number: int  # of the drive within its split
    district: int
    identity: LogIdentity
    recorder: int = 0  # place among the vehicles that record the drive
    recovery: bool = False  # begins off the expert's path


def plan_logs(config: CityConfig) -> list[LogPlan]:
    """All logs, split by split, district by district and drive by drive."""
    plans, base = [], 0
    for split, (folder, size) in config.splits.items():
        many = config.recorders if split == "train" else None
        for number in range(size.logs):
            district = base + number * size.districts // size.logs
            for recorder in range(many.per_drive if many else 1):
                off = many is not None and recorder > 0 and (number + recorder) % many.recovery_every == 0
                identity = _identity(config, split, number, recorder)
                plans.append(LogPlan(split, folder, number, district, identity, recorder, off))
        base += size.districts
    return plans


def district_count(config: CityConfig) -> int:
    """Districts 0 … n-1 make up the map."""
    return sum(size.districts for _, size in config.splits.values())


def _identity(config: CityConfig, split: str, number: int, recorder: int) -> LogIdentity:
    """Names as nuPlan's: date, vehicle, first and last second."""
    years, day = divmod(number // 20, _SEASON)
    start = _FIRST_DAYS[split] + timedelta(days=365 * years + day, minutes=37 * (number % 20), hours=8)
    vehicle = f"veh-{20 + (7 * number + config.seed + 11 * recorder) % 40}"
    first = 16 * (number % 20)
    name = f"{start:%Y.%m.%d.%H.%M.%S}_{vehicle}_{first:05d}_{first + config.frames // 2:05d}"
    return LogIdentity(name, vehicle, round(start.timestamp() * 1e6))
