"""Which logs a split has: the dataset's own, those of a list, those of a scene filter; and an even choice of scenes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from tiny_dataset import SPLIT

from wotempo.datasets import DATASETS, split_scenes
from wotempo.datasets.scenes import spread
from wotempo.errors import UserError


@dataclass
class Chosen:
    split: str = SPLIT
    scene_filter: str | None = None
    max_scenes: int | None = None
    logs: str | None = None


@dataclass
class Data:
    root: str
    preset: str = "micro"
    seed: int = 0
    all_cameras: bool = False
    maps: str | None = None
    full_history_only: bool = False
    cache: str | None = None
    prepare_workers: int = 1
    missing: str = "error"
    recheck: bool = False
    train: Chosen = field(default_factory=Chosen)


@pytest.fixture
def logs_of(root, tmp_path):
    """``logs_of(kind, listed, filtered)``: the logs of train's scenes."""

    def names(kind="navsim", listed=None, filtered=None, **options) -> set[str]:
        chosen = Chosen()
        for key, content in (("logs", listed), ("scene_filter", filtered)):
            if content is not None:
                file = tmp_path / f"{key}.yaml"
                file.write_text(json.dumps(content))
                setattr(chosen, key, str(file))
        dataset = DATASETS[kind](Data(str(root), train=chosen, **options), str(tmp_path))  # type: ignore[arg-type]
        scenes = split_scenes(dataset, dataset.here() or pytest.fail("no town"), "train", lambda *_: None)
        return {scene.log.name for scene in scenes}

    return names


def test_without_lists_all_logs_of_the_folder(logs_of):
    assert logs_of() == {"straight", "gap"}


@pytest.mark.parametrize("listed", [["gap", "elsewhere"], {"train_logs": ["gap"], "val_logs": ["straight"]}])
def test_a_list_may_name_more_than_is_here(logs_of, listed):
    assert logs_of(listed=listed) == {"gap"}


def test_a_list_and_a_filter_both_count(logs_of):
    assert logs_of(filtered={"log_names": ["straight"], "num_history_frames": 4}) == {"straight"}
    with pytest.raises(UserError, match="no scenes for train"):
        logs_of(listed=["gap"], filtered={"log_names": ["straight"]})


def test_a_list_of_logs_that_are_all_missing_is_a_mistake(logs_of):
    with pytest.raises(UserError, match=r"holds none of the logs of train, first elsewhere$"):
        logs_of(listed=["elsewhere"])


@pytest.mark.parametrize(
    ("listed", "says"), [({"val_logs": ["gap"]}, "has no list 'train_logs'"), (3, "has no list 'train_logs'")]
)
def test_a_file_without_a_list_is_named(logs_of, listed, says):
    with pytest.raises(UserError, match=says):
        logs_of(listed=listed)


def test_a_town_goes_by_its_own_splits(logs_of, root):
    (root / "city.json").write_text("{}")
    (root / "splits.json").write_text(json.dumps({"train": {"split": SPLIT, "logs": ["gap"]}}))
    try:
        assert logs_of("town") == {"gap"}
        assert logs_of("navsim") == {"straight", "gap"}
        with pytest.raises(UserError, match="no scenes for train"):
            logs_of("town", listed=["straight"])
    finally:
        (root / "city.json").unlink()
        (root / "splits.json").unlink()


def test_scenes_are_chosen_evenly():
    scenes = list(range(10))
    assert spread(scenes, 4) == [0, 3, 6, 9]  # type: ignore[arg-type]
    assert spread(scenes, None) == spread(scenes, 10) == scenes  # type: ignore[arg-type]
