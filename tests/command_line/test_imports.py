"""What cannot be imported ends a command in one sentence: the package, or the file and its line, and what to do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from wotempo.endings import ended_by, unimportable
from wotempo.errors import UserError

BLOCKED = """
import sys
sys.modules["yaml"] = None
sys.argv = ["wotempo", "leaderboard", "nowhere"]
from wotempo.command_line.dispatch import main
main()
"""


def test_a_command_whose_package_is_missing():
    ended = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == UserError.exit_code
    assert ended.stderr.startswith("error: the package pyyaml is not installed, and ")
    assert ended.stderr.rstrip().endswith("imports it: make setup, or pip install pyyaml")
    assert "Traceback" not in ended.stderr


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """``stage(text)``: what importing a file of that text raises."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def imported(text: str) -> BaseException:
        (tmp_path / "mine_of_a_user.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("mine_of_a_user", None)
        try:
            importlib.import_module("mine_of_a_user")
        except Exception as error:
            return error
        pytest.fail("it was imported")

    return imported


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nimport nothing_of_this_name\n", "the package nothing_of_this_name is not installed, and {}:2 imports it"),
        ("import wotempo.nothing", "{}:1 imports wotempo.nothing, which fails (No module named"),
        (
            "\n\nfrom wotempo.errors import Nothing",
            "{}:3 imports wotempo.errors, which fails (cannot import name 'Nothing'",
        ),
        ("from json import nothing", "{}:1 cannot import what it needs (cannot import name 'nothing' from 'json'"),
        ("import json.nothing", "{}:1 cannot import what it needs (No module named 'json.nothing'"),
        ("raise ImportError('libGL.so.1: cannot open')", "{}:1 cannot import what it needs (libGL.so.1: cannot open)"),
        ("x = (\n", "{}:1 is no Python ('(' was never closed): mend it"),
        ("def f():\nreturn 1\n", "{}:2 is no Python (expected an indented block"),
    ],
)
def test_a_file_of_a_user_is_named_with_its_line(stage, capsys, text, words):
    error = stage(text)
    assert ended_by(error) == UserError.exit_code
    told = capsys.readouterr().err
    assert words.format("mine_of_a_user.py") in told
    assert len(told.splitlines()) == 1


NOT_FOR_TRAINING = {
    "geopandas": "a process that reads no map", "pyogrio": "a process that reads no map", "pyarrow": "no table is read",
    "joblib": "labels and scores", "sklearn": "anchors", "optuna": "search", "submitit": "Slurm", "nuplan": "devkit",
    "wotempo.city": "towns", "wotempo.evaluation.scored": "the end of a run", "wotempo.experiment.pictures": "the end",
    "wotempo.report.run_page": "the end of a run", "wotempo.runs.sweep": "sweeps", "wotempo.interop": "other formats",
}  # fmt: skip
LOADED = """
import sys
import wotempo.commands.train
print([name for name in sys.argv[1:] if name in sys.modules and hasattr(sys.modules[name], "__file__")])
"""


def test_a_start_of_training_loads_nothing_that_others_need():
    """100 MB, and a tenth of its modules: each is loaded by what uses it."""
    words = [sys.executable, "-c", LOADED, *NOT_FOR_TRAINING]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_other_errors_are_no_imports(stage, tmp_path, capsys):
    assert unimportable(stage("x = unknown")) is None
    with pytest.raises(SyntaxError) as caught:
        compile("x = (", "<text of a file>", "exec")
    assert unimportable(caught.value) is None
    assert ended_by(stage("1 / 0"), tmp_path) == 1
    assert "ZeroDivisionError in mine_of_a_user.py:1" in capsys.readouterr().err
    assert [path for path in Path(tmp_path).glob("traceback-*")]
