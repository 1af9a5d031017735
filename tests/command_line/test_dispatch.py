"""`wotempo <command> key=value …`: the table, the dispatch, and completion in a shell."""

from __future__ import annotations

import ast
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANGS_S

from wotempo.command_line import dispatch, entry
from wotempo.command_line.completion import CONFIGS, OF_FOLDERS
from wotempo.command_line.table import COMMANDS, FOLDER, module_of, overview, sentence
from wotempo.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")


def is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def imports_of(path: Path) -> set[str]:
    """Full names of what a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.fixture
def typed_in(monkeypatch, capsys):
    """``typed_in(*words) -> (exit code, stdout, stderr)``."""

    def typed(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wotempo", *words])
        with pytest.raises(SystemExit) as ended:
            dispatch.main()
        return ended.value.code, *capsys.readouterr()

    return typed


def test_the_table_and_the_files_of_commands_are_the_same():
    assert sorted(COMMANDS) == sorted(path.stem.replace("_", "-") for path in FILES)
    assert len(set(COMMANDS)) == len(COMMANDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_command_has_a_main_and_a_first_sentence_for_the_list(path):
    assert is_main(ast.parse(path.read_text()).body[-1])
    line = sentence(path.stem.replace("_", "-"))
    assert 10 < len(line) <= 110
    assert line[0].isupper()


def test_no_file_imports_a_command():
    for path in (*(ROOT / "src").rglob("*.py"), *(ROOT / "callbacks").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")):
        # A command may import itself, by the name that other machines know it by.
        own = module_of(path.stem) if path.parent == FOLDER else None
        found = {name for name in imports_of(path) if name.startswith("wotempo.commands.")}
        assert found <= {own}, path


def test_help_lists_every_command_without_the_heavy_libraries():
    code = "import sys; from wotempo.command_line.dispatch import main; sys.argv[1:] = ['--help']\n"
    code += "main()\n"
    code += "print({'torch', 'lightning', 'hydra', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, heavy = done.stdout.splitlines()
    assert heavy == "set()"
    assert "\n".join(lines) == overview()
    for name in COMMANDS:
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1
        assert sentence(name) in done.stdout


def test_a_reader_may_take_a_part_of_the_help():
    """As `wotempo --help | head -3` does."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "wotempo", "--help"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_command_is_one_sentence_with_the_nearest_name(typed_in):
    assert typed_in("trian") == (2, "", "error: there is no command 'trian': did you mean 'train'?\n")
    assert typed_in("plan_data") == (2, "", "error: there is no command 'plan_data': did you mean 'plan-data'?\n")
    code, out, err = typed_in()
    assert (code, out) == (2, "")
    assert err.strip() == overview()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules after import:RuntimeWarning")
def test_a_command_runs_as_its_module_would(typed_in, monkeypatch):
    """Lightning and multiprocessing start further processes by the name of the main module."""
    seen = []

    def ended_by(error: UserError) -> int:
        seen.append((sys.modules["__main__"].__spec__.name, Path(sys.argv[0]).name, sys.argv[1:]))
        return error.exit_code

    monkeypatch.setattr(entry, "ended_by", ended_by)
    assert typed_in("devkit-scores", "x")[0] == 2
    assert seen == [("wotempo.commands.devkit_scores", "devkit_scores.py", ["x"])]


def test_the_garbage_collector_rests_while_a_command_is_imported(monkeypatch):
    seen = []

    def imported_and_run(*_: object, **__: object) -> None:
        seen.append(gc.isenabled())
        assert entry.helped_or_done([], str, lambda: seen.append(gc.isenabled()) or 0) == 0

    monkeypatch.setattr(dispatch.runpy, "run_module", imported_and_run)
    monkeypatch.setattr(sys, "argv", ["wotempo", "report"])
    dispatch.main()
    assert seen == [False, True]
    assert gc.isenabled()


def test_python_m_is_the_same_and_the_old_modules_still_are_commands():
    ends = []
    for start in (["wotempo", "devkit-scores"], ["wotempo.commands.devkit_scores"]):
        done = subprocess.run([sys.executable, "-m", *start, "x"], capture_output=True, text=True, check=False)
        ends.append((done.returncode, done.stderr))
    assert ends[0] == ends[1]
    assert ends[0][0] == 2
    assert ends[0][1].startswith("error: ")


def query(line: str) -> list[str]:
    command = [sys.executable, "-m", "wotempo", "-sc", "query=bash"]
    done = subprocess.run(
        command, env=os.environ | {"COMP_LINE": line}, capture_output=True, text=True, check=True, timeout=HANGS_S
    )
    return done.stdout.split()


def test_completion_knows_commands_groups_and_keys():
    assert query("wotempo eval") == list(COMMANDS)  # the shell keeps those that begin so
    assert query(".venv/bin/wotempo train fusion=convl") == ["fusion=convlstm"]
    assert query("wotempo evaluate data.tra") == ["data.train."]
    assert query("wotempo compare ru") == []  # folders: the shell's own completion
    assert set(CONFIGS) | set(OF_FOLDERS) == set(COMMANDS)
    assert {f"{name}.yaml" for name in CONFIGS.values()} <= {path.name for path in (ROOT / "configs").glob("*.yaml")}


def test_what_a_shell_evaluates_completes_its_line(tmp_path):
    """Hydra's function for bash, as `wotempo train --shell-completion install=bash` prints it."""
    script = tmp_path / "wotempo"
    script.write_text(f'#!/bin/bash\nexec {sys.executable} -m wotempo "$@"\n')
    script.chmod(0o755)
    shell = """eval "$(wotempo train --shell-completion install=bash)"
    complete -p wotempo
    COMP_LINE="wotempo train fusion=convl"; COMP_POINT=26; COMP_WORDS=(wotempo train fusion=convl); COMP_CWORD=2
    hydra_bash_completion; echo "${COMPREPLY[@]}"
    COMP_LINE="wotempo plan"; COMP_POINT=12; COMP_WORDS=(wotempo plan); COMP_CWORD=1
    hydra_bash_completion; echo "${COMPREPLY[@]}"
    """
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", shell], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
    )
    rule, *completed = done.stdout.splitlines()
    assert rule.endswith("-F hydra_bash_completion wotempo")
    assert completed == ["fusion=convlstm", "plan-data"]
