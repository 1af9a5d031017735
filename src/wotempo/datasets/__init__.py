"""The datasets that a run can read, each one class behind one interface; ``data.kind`` chooses it by its file's name.

To add one: one file ``<kind>.py`` here with a ``Dataset``, and one ``configs/data/<name>.yaml``
(docs/adding_a_dataset.md).
"""

from wotempo.datasets.base import SPLITS, Dataset, Progress, check_split, counted
from wotempo.datasets.coverage import Coverage
from wotempo.datasets.registry import DATASETS, dataset_class, dataset_of
from wotempo.datasets.scenes import find_split, split_logs, split_scenes, spread

__all__ = [
    "DATASETS",
    "SPLITS",
    "Coverage",
    "Dataset",
    "Progress",
    "check_split",
    "counted",
    "dataset_class",
    "dataset_of",
    "find_split",
    "split_logs",
    "split_scenes",
    "spread",
]
