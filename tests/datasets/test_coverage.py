"""Of a split that was asked for what is not here is said, with the reason, and kept for the record."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_dataset import SPLIT, token

from wotempo.data import window_frames
from wotempo.datasets import DATASETS, find_split, split_scenes
from wotempo.datasets.coverage import NAMED, Coverage
from wotempo.errors import UserError
from wotempo.navsim import Scene, read_log
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.schema import Defect


@pytest.fixture
def look(root, tmp_path):
    """``look(filter, list of logs) -> Found`` of the split train."""

    def found(filtered=None, listed=None, find=find_split, at=root, missing="error"):
        files = {}
        for key, content in (("scene_filter", filtered), ("logs", listed)):
            files[key] = None if content is None else str(tmp_path / f"{key}.yaml")
            if content is not None:
                (tmp_path / f"{key}.yaml").write_text(json.dumps(content))
        chosen = SimpleNamespace(split=SPLIT, max_scenes=None, **files)
        data = SimpleNamespace(
            root=str(at),
            maps=None,
            full_history_only=True,
            cache=None,
            prepare_workers=1,
            train=chosen,
            missing=missing,
            recheck=False,
        )
        dataset = DATASETS["navsim"](data, str(tmp_path))  # type: ignore[arg-type]
        return find(dataset, dataset.here(), "train", lambda *_: None)

    return found


STRAIGHT = [token("straight", i) for i in range(18)]
GAPPED = [token("gap", i) for i in range(20)]
ABSENT = [token("absent", i) for i in range(7)]


def test_tokens_of_logs_that_are_not_here(look, capsys):
    logs = ["straight", "absent", "absent too"]
    scenes, coverage = look({"log_names": logs, "tokens": [*STRAIGHT[3:8], *ABSENT]})
    assert len(scenes) == 5
    assert coverage.sentence == (
        "train: 5 of 12 listed tokens are here (1 of 3 logs); not here: 7 in 2 logs that are missing"
    )
    assert coverage.to_fetch == ("absent", "absent too")
    assert json.loads(json.dumps(coverage.figures))["missing_logs"] == ["absent", "absent too"]
    assert capsys.readouterr().out == ""
    again = look({"log_names": logs, "tokens": [*STRAIGHT[3:8], *ABSENT]}, find=split_scenes)
    assert [scene.token for scene in again] == [scene.token for scene in scenes]
    assert capsys.readouterr().out == f"{coverage.sentence}\n"


def test_logs_without_a_list_of_tokens(look):
    _, coverage = look({"log_names": ["straight", "absent"]})
    assert coverage.sentence == "train: 5 scenes of 1 of 2 logs"
    assert coverage.missing_logs == "absent"


def test_a_gap_takes_tokens_that_the_filter_lists(look):
    scenes, coverage = look({"log_names": ["gap"], "tokens": GAPPED})
    assert len(scenes) == 2
    assert coverage.sentence == (
        "train: 2 of 20 listed tokens are here; not here: 13 too near the edge of their log, 5 across a gap in time"
    )
    _, coverage = look()
    assert coverage.sentence == "train: 7 scenes; left out: 5 across a gap in time"


def test_tokens_decide_where_a_log_list_names_more_than_is_here(look):
    _, coverage = look({"log_names": ["straight", "gap", "absent"], "tokens": STRAIGHT[3:8]}, ["straight", "absent"])
    assert (coverage.sentence, coverage.to_fetch) == ("", ())


def test_tokens_of_another_split_are_not_missed(look):
    tokens = [*STRAIGHT[3:8], *GAPPED[8:10]]
    _, coverage = look({"log_names": ["straight", "gap"], "tokens": tokens}, {"train_logs": ["straight"]})
    assert coverage.sentence == ""
    _, coverage = look({"log_names": ["straight", "gap", "absent"], "tokens": tokens}, ["straight", "absent"])
    assert "2 in 1 logs that are missing, or in those that data.train.logs leaves out" in coverage.sentence


def test_a_filter_without_log_names_says_so_too(look):
    _, coverage = look({"tokens": [*STRAIGHT[3:8], *ABSENT]})
    assert coverage.sentence == "train: 5 of 12 listed tokens are here; not here: 7 in none of the logs that are here"


def test_a_split_without_a_scene_says_why(look):
    with pytest.raises(UserError, match=r"no scenes for train.*0 of 1 listed tokens.*1 too near the edge"):
        look({"tokens": STRAIGHT[:1]})


def test_a_defect_costs_the_scenes_that_hold_its_frame(look, root, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(root, damaged)
    log = read_log(damaged / "navsim_logs" / SPLIT / "straight.pkl", SPLIT)
    frames = list(log.frames)
    boxes = frames[16].boxes.boxes.copy()
    boxes[0, 3] = np.nan
    frames[16] = replace(frames[16], boxes=replace(frames[16].boxes, boxes=boxes))
    write_log(damaged / "navsim_logs" / SPLIT / "straight.pkl", frames)
    scenes, coverage = look({"log_names": ["straight"], "tokens": STRAIGHT[3:8]}, at=damaged)
    assert [scene.token for scene in scenes] == STRAIGHT[3:6]
    assert coverage.sentence.startswith("train: 3 of 5 listed tokens are here; not here: 2 with a frame of which ")
    assert STRAIGHT[16] in coverage.sentence


def test_a_window_ends_before_a_frame_with_a_defect(root):
    log = read_log(root / "navsim_logs" / SPLIT / "straight.pkl", SPLIT)
    frames = [replace(f, defect=Defect("c", "w")) if i == 2 else f for i, f in enumerate(log.frames)]
    window = window_frames(Scene(replace(log, frames=frames), 7), 7)
    assert window == [None, None, *frames[3:8]]
    assert window_frames(Scene(replace(log, frames=frames), 7), 3, 2) == [frames[3], frames[5], frames[7]]
    assert window_frames(Scene(replace(log, frames=frames), 7), 4, 2) == [None, frames[3], frames[5], frames[7]]


def test_scenes_that_are_left_out_later_are_counted_as_well():
    whole = Coverage("val", 10, None, {}, (), (), False)
    assert whole.without("without sensor files", 0) is whole
    assert whole.without("without sensor files", 3).sentence == "val: 7 scenes; left out: 3 without sensor files"
    many = Coverage("val", 10, None, {}, ("a",), tuple(f"log{i:03d}" for i in range(NAMED + 2)), False)
    assert many.missing_logs.endswith("log199 and 2 more")
