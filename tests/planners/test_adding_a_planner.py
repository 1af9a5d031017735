"""docs/adding_a_planner.md, followed word by word in a copy of the sources."""

from __future__ import annotations

import json
import re

import pytest
from followed_page import MICRO, REPOSITORY, Page, follow

pytestmark = pytest.mark.slow
PAGE = Page("adding_a_planner.md")
PACKAGE = re.search(
    r'add `("[\w.]+")` to `packages` in `pyproject.toml`', (REPOSITORY / "docs/adding_a_planner.md").read_text()
)


@pytest.fixture(scope="module")
def copy(micro_workspace, tmp_path_factory):
    """The sources with the page's files in them, and its package named in pyproject.toml."""
    root = PAGE.copied_to(tmp_path_factory.mktemp("copy"), micro_workspace)
    project, line = root / "pyproject.toml", '  "wotempo.planners",\n'
    assert line in project.read_text()
    project.write_text(project.read_text().replace(line, f"{line}  {PACKAGE[1]},\n"))
    (root / ".venv/.wotempo-setup").touch()  # newer than pyproject.toml: make installs nothing into this environment
    return root


def test_the_page_adds_a_package_and_one_yaml():
    code = [f"src/wotempo/planners/pooled/{name}.py" for name in ("pooled", "__init__")]
    assert [name for name, _ in PAGE.files] == [*code, "configs/planner/pooled.yaml"]
    targets = [command.split()[1] for command in PAGE.commands]
    assert targets == ["test", "train-baseline", "train-convgru-1epoch", "compare"]


def test_the_files_keep_the_house_rules(copy):
    PAGE.keeps_the_house_rules(copy)


def test_the_tests_find_it_and_it_keeps_every_promise(copy):
    told = follow(copy, PAGE.commands[0])
    assert int(re.search(r"(\d+) passed", told)[1]) > 9
    assert "failed" not in told


def test_a_promise_that_it_breaks_is_found(copy):
    """The tests above could fail: a plan that never reads the map has no use for history."""
    file = copy / PAGE.files[0][0]
    text = file.read_text()
    broken = text.replace("fused.mean((2, 3)), status", "0 * fused.mean((2, 3)), status")
    assert broken != text
    file.write_text(broken)
    try:
        with pytest.raises(AssertionError, match="test_history_acts_through_the_stage_alone"):
            follow(copy, PAGE.commands[0])
    finally:
        file.write_text(text)


def test_it_trains_is_judged_and_compared(copy):
    for command in PAGE.commands[1:3]:
        follow(copy, command, MICRO)
    for name in ("pooled_baseline_1epoch", "pooled_convgru_1epoch"):
        (verdict,) = copy.glob(f"runs/{name}/*/verdict.json")
        found = json.loads(verdict.read_text())
        assert found["status"] == "accepted"
        assert found["facts"]["planner"] == "pooled"
        assert found["facts"]["anchors"] is None
    assert "pooled_baseline_1epoch" in follow(copy, PAGE.commands[3])
