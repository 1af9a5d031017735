"""What is printed for the user to type starts the program that printed it, from the shell as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wotempo.errors import UserError
from wotempo.program import by_path, program, shell_line, shell_line_of, stored, words_of


@pytest.fixture
def venv(tmp_path, monkeypatch) -> Path:
    """The folder of programs of an environment below the current directory, with nothing on the PATH."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "")
    return folder


def script(folder: Path) -> Path:
    path = folder / "wotempo"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_path_below_the_current_directory_where_the_shell_does_not_find_it(venv, monkeypatch, tmp_path):
    assert program() == [".venv/bin/python", "-m", "wotempo"]
    there = script(venv)
    assert program() == [".venv/bin/wotempo"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program() == [str(there)]


def test_the_plain_name_where_the_shell_finds_the_same_program(venv, monkeypatch, tmp_path):
    script(venv)
    other = tmp_path / "other"
    other.mkdir()
    script(other)
    monkeypatch.setenv("PATH", f"{other}:{venv}")
    assert program() == [".venv/bin/wotempo"]  # the shell would start another installation
    monkeypatch.setenv("PATH", f"{venv}:{other}")
    assert program() == ["wotempo"]
    assert shell_line("train", "run_dir='a=b'") == "wotempo train 'run_dir='\"'\"'a=b'\"'\"''"


def test_a_recorded_command_is_typed_here_and_other_processes_get_the_absolute_python(venv):
    script(venv)
    assert shell_line_of("python -m wotempo.commands.label_file file=a") == ".venv/bin/wotempo label-file file=a"
    assert by_path("train", "seed=1") == [str(venv / "python"), "-m", "wotempo", "train", "seed=1"]


def test_a_recorded_command_is_understood_in_both_forms():
    arguments = ["--multirun", "fusion=none,convgru", "model.map_shape=[64, 128]"]
    assert words_of(stored("plan-data", arguments)) == ("plan-data", arguments)
    assert words_of("python -m wotempo.commands.plan_data a='b c'") == ("plan-data", ["a=b c"])
    with pytest.raises(UserError, match="none of wotempo"):
        words_of("python train.py")
