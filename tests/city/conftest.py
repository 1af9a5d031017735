"""One small town without sensors, and one simulated log, shared by the tests of the simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from wotempo.city import CityConfig, SplitSize, build_city, city_config
from wotempo.city.dataset.build import simulate_log
from wotempo.city.dataset.plan import plan_logs
from wotempo.city.sensors.town import District, draw_district
from wotempo.city.traffic.drive import Drive
from wotempo.city.traffic.people import People
from wotempo.maps import MapIndex, read_map
from wotempo.navsim.dataset import log_paths, read_splits
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import DataPaths, Log


@dataclass(frozen=True)
class Town:
    """A town on disk and what was read back from it."""

    root: Path
    config: CityConfig
    logs: dict[str, list[Log]]  # by split
    map: MapIndex

    @property
    def all_logs(self) -> list[Log]:
        return [log for logs in self.logs.values() for log in logs]


@dataclass(frozen=True)
class Simulated:
    """One log before it is recorded."""

    district: District
    drive: Drive
    people: People
    ego: int


def read_town(root: Path, config: CityConfig) -> Town:
    """Everything through the ordinary readers."""
    paths, logs = DataPaths(root, root / "maps"), {}
    for split, entry in read_splits(root).items():
        logs[split] = [read_log(path, entry.split) for path in log_paths(paths, entry.split, entry.logs)]
    return Town(root, config, logs, read_map(root / "maps", logs["train"][0].frames[0].map_location))


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    root = tmp_path_factory.mktemp("town")
    config = replace(city_config("micro"), sensors=False, frames=20, train=SplitSize(2, 1))
    build_city(root, config)
    return read_town(root, config)


@pytest.fixture(scope="session", params=[0, 7])
def simulated(request: pytest.FixtureRequest) -> Simulated:
    config = city_config("tiny", seed=3)
    plan = plan_logs(config)[request.param]
    district = draw_district(config.seed, plan.district)
    return Simulated(district, *simulate_log(config, plan))
