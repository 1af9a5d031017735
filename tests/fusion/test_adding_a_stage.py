"""docs/adding_a_fusion_stage.md, followed word by word in a copy of the sources."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "adding_a_fusion_stage.md").read_text()
FILES = re.findall(r"in `([\w/.]+)`[^`]*```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PARTS = ("src", "configs", "callbacks", "docs", "tests", "Makefile", "pyproject.toml", "constraints.txt")
# What makes the page's runs last seconds.
SMALL = "data.preset=micro model.image_height=64 model.image_width=256 model.num_anchors=16 data.extra_drives=50 "
SMALL += "trainer.batch_size=2 trainer.run_length=2 trainer.progress_bar=false tracking=off profile=smoke"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources with the page's files in them, and a .venv that is this environment."""
    root = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("*.egg-info", "configs")
    for part in PARTS:
        source, target = REPOSITORY / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            shutil.copy(source, target)
        else:
            shutil.copytree(source, target, ignore=ignored if part == "src" else None)
    (root / "src/wotempo/configs").symlink_to(root / "configs")  # as the installed package has it
    for name, text in FILES:
        assert not (root / name).exists()
        (root / name).write_text(text)
    python = root / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (root / ".venv/.wotempo-setup").touch()
    return root


def follow(copy: Path, command: str, small: bool = False) -> str:
    words = shlex.split(command)
    if small:
        words = [f"{word} {SMALL}" if word.startswith("ARGS=") else word for word in words]
    ours = os.pathsep.join((str(copy / "src"), str(copy)))
    done = subprocess.run(
        words, cwd=copy, env=os.environ | {"PYTHONPATH": ours}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_page_adds_one_file_and_one_yaml():
    assert [name for name, _ in FILES] == ["src/wotempo/fusion/decay.py", "configs/fusion/decay.yaml"]
    assert [command.split()[1] for command in COMMANDS] == ["test", "train-convgru-1epoch", "ablation-fusion"]


def test_the_file_keeps_the_house_rules(copy):
    files = [str(copy / name) for name, _ in FILES if name.endswith(".py")]
    for check in (("check",), ("format", "--check")):
        subprocess.run([sys.executable, "-m", "ruff", *check, *files], cwd=copy, check=True, capture_output=True)


def test_the_tests_find_it_and_it_keeps_every_promise(copy):
    told = follow(copy, COMMANDS[0])
    passed = int(re.search(r"(\d+) passed", told)[1])
    assert passed > 30
    assert "failed" not in told


def test_a_promise_that_it_breaks_is_found(copy):
    """The tests above could fail: without the alignment they do."""
    file = copy / FILES[0][0]
    text = file.read_text()
    broken = text.replace(
        "self.warp_history(bev, pose, valid)", "bev, valid[..., None, None, None].expand_as(bev[:, :, :1])"
    )
    assert broken != text
    file.write_text(broken)
    try:
        with pytest.raises(AssertionError, match="poses matter"):
            follow(copy, COMMANDS[0])
    finally:
        file.write_text(text)


def test_it_trains_and_is_judged(copy):
    follow(copy, COMMANDS[1], small=True)
    (verdict,) = copy.glob("runs/*/*/verdict.json")
    facts = json.loads(verdict.read_text())
    assert facts["status"] == "accepted"
    assert facts["facts"]["fusion"]["name"] == "decay"
    by_name = {criterion["name"]: criterion["status"] for criterion in facts["criteria"]}
    assert by_name["warp_gain"] in ("pass", "inconclusive")
