"""The datasets by ``data.kind``. A dataset is a file of this folder: it is found, not listed."""

from __future__ import annotations

from wotempo.config.schema import DataConfig
from wotempo.datasets.base import Dataset
from wotempo.errors import require_value
from wotempo.found_by_file import found_by_file

DATASETS: dict[str, type[Dataset]] = found_by_file(
    __name__.rpartition(".")[0], lambda kind: issubclass(kind, Dataset), "datasets"
)


def dataset_class(kind: str) -> type[Dataset]:
    """The class in ``datasets/<kind>.py``. UserError with the nearest name where there is none."""
    require_value("data.kind", kind, DATASETS)
    return DATASETS[kind]


def dataset_of(data: DataConfig, workspace: str) -> Dataset:
    """The dataset that ``data.kind`` names. UserError for an unknown kind."""
    return dataset_class(data.kind)(data, workspace)
