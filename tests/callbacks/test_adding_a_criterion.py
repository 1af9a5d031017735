"""docs/adding_a_criterion.md, followed word by word in a copy of the sources."""

from __future__ import annotations

import json
import re

import pytest
from followed_page import MICRO, Page, follow

pytestmark = pytest.mark.slow
PAGE = Page("adding_a_criterion.md")


@pytest.fixture(scope="module")
def copy(micro_workspace, tmp_path_factory):
    return PAGE.copied_to(tmp_path_factory.mktemp("criterion"), micro_workspace)


def test_the_page_adds_one_file_one_entry_and_a_test():
    criterion, test = "callbacks/criteria/connected.py", "tests/callbacks/criteria/test_acceptance_connected.py"
    assert [name for name, _ in PAGE.files] == [criterion, test]
    assert [name for name, _ in PAGE.entries] == ["configs/acceptance/one_epoch.yaml"]
    assert [command.split()[1] for command in PAGE.commands] == ["test", "train-convgru-1epoch"]


def test_the_files_keep_the_house_rules(copy):
    PAGE.keeps_the_house_rules(copy)


def test_the_tests_find_it_and_it_keeps_every_promise(copy):
    told = follow(copy, PAGE.commands[0])
    passed = int(re.search(r"(\d+) passed", told)[1])
    assert passed == 7, "three of its own, four of every criterion"
    assert "failed" not in told


def test_a_criterion_that_is_broken_is_found(copy):
    """The tests above could fail: where no parameter is ever lacking, one does."""
    file = copy / PAGE.files[0][0]
    text = file.read_text()
    broken = text.replace('not in self.memory["reached"]]', "in ()]")
    assert broken != text
    file.write_text(broken)
    try:
        with pytest.raises(AssertionError, match="test_a_forgotten_layer_is_named"):
            follow(copy, PAGE.commands[0])
    finally:
        file.write_text(text)


def test_a_run_is_judged_by_it(copy):
    told = follow(copy, PAGE.commands[1], MICRO)
    (verdict,) = copy.glob("runs/*/*/verdict.json")
    criteria = {criterion["name"]: criterion for criterion in json.loads(verdict.read_text())["criteria"]}
    assert criteria["connected"]["policy"] == "warn"
    assert criteria["connected"]["number"] == 20
    assert re.search(r"^ +20 connected ", told, re.MULTILINE)
