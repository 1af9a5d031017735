"""docs/adding_a_fusion_stage.md, followed word by word in a copy of the sources."""

from __future__ import annotations

import json
import re

import pytest
from followed_page import MICRO, Page, follow

pytestmark = pytest.mark.slow
PAGE = Page("adding_a_fusion_stage.md")


@pytest.fixture(scope="module")
def copy(micro_workspace, tmp_path_factory):
    """The sources with the page's files in them."""
    return PAGE.copied_to(tmp_path_factory.mktemp("copy"), micro_workspace)


def test_the_page_adds_one_file_and_one_yaml():
    assert [name for name, _ in PAGE.files] == ["src/wotempo/fusion/decay.py", "configs/fusion/decay.yaml"]
    targets = [command.split()[1] for command in PAGE.commands]
    assert targets == ["test", "train-convgru-1epoch", "ablation-fusion", "ablation-fusion"]


def test_the_file_keeps_the_house_rules(copy):
    PAGE.keeps_the_house_rules(copy)


def test_the_tests_find_it_and_it_keeps_every_promise(copy):
    told = follow(copy, PAGE.commands[0])
    passed = int(re.search(r"(\d+) passed", told)[1])
    assert passed > 30
    assert "failed" not in told


def test_a_promise_that_it_breaks_is_found(copy):
    """The tests above could fail: without the alignment they do."""
    file = copy / PAGE.files[0][0]
    text = file.read_text()
    broken = text.replace(
        "self.warp_history(bev, pose, valid)", "bev, valid[..., None, None, None].expand_as(bev[:, :, :1])"
    )
    assert broken != text
    file.write_text(broken)
    try:
        with pytest.raises(AssertionError, match="poses matter"):
            follow(copy, PAGE.commands[0])
    finally:
        file.write_text(text)


def test_it_trains_and_is_judged(copy):
    follow(copy, PAGE.commands[1], MICRO)
    (verdict,) = copy.glob("runs/*/*/verdict.json")
    facts = json.loads(verdict.read_text())
    assert facts["status"] == "accepted"
    assert facts["facts"]["fusion"]["name"] == "decay"
    by_name = {criterion["name"]: criterion["status"] for criterion in facts["criteria"]}
    assert by_name["warp_gain"] in ("pass", "inconclusive")
