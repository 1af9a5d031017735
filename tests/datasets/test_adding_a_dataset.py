"""docs/adding_a_dataset.md, followed word by word in a copy of the sources; the recordings are a micro town's files."""

from __future__ import annotations

import json
import shutil

import pytest
from followed_page import SMALL, Page, follow

pytestmark = pytest.mark.slow
PAGE = Page("adding_a_dataset.md")


@pytest.fixture(scope="module")
def copy(micro_town, tmp_path_factory):
    """The sources with the page's files in them, and the recordings."""
    root = PAGE.copied_to(tmp_path_factory.mktemp("copy"))
    shutil.copytree(micro_town, root / "recordings")
    (root / "recordings" / "city.json").unlink()  # what makes it a town
    return root


def test_the_page_adds_one_file_and_one_yaml():
    assert [name for name, _ in PAGE.files] == ["src/wotempo/datasets/recordings.py", "configs/data/recordings.yaml"]
    assert [command.split()[1] for command in PAGE.commands] == ["plan-data", "doctor", "train-baseline"]


def test_the_file_keeps_the_house_rules(copy):
    PAGE.keeps_the_house_rules(copy)


def test_the_plan_counts_its_files_and_says_where_missing_ones_come_from(copy):
    assert "the dataset is whole" in follow(copy, PAGE.commands[0], SMALL)
    lost = next((copy / "recordings").glob("sensor_blobs/test/*/CAM_F0/*.jpg"))
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(AssertionError, match="copy the recordings to"):
        follow(copy, PAGE.commands[0], SMALL)
    lost.write_bytes(content)


def test_the_doctor_finds_it(copy):
    told = follow(copy, PAGE.commands[1], SMALL)
    assert "recordings in recordings" in told
    assert "nothing would stop this run" in told


def test_without_its_folder_one_sentence_says_what_to_set(copy):
    with pytest.raises(AssertionError, match=r"error: data\.root is not set: name the folder"):
        follow(copy, PAGE.commands[2].replace("data.root=recordings", "data.root=null"), SMALL)


def test_a_run_on_it_is_judged_and_says_its_name_and_note(copy):
    follow(copy, PAGE.commands[2], SMALL)
    # The folder of the run that was refused because its data had no root has a verdict, too.
    verdicts = [json.loads(file.read_text()) for file in copy.glob("runs/*/*/verdict.json")]
    (found,) = [verdict for verdict in verdicts if "data.root is not set" not in verdict["reason"]]
    assert found["status"] == "accepted"
    assert found["facts"]["data"] == "own recordings"
    assert found["facts"]["note"] == "own recordings: these are not NAVSIM numbers"
