"""Tests lie where what they test lies: each folder of tests/ has the name of a room, each module a name of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
# What is tested there is no room: whole commands, reference values, what several folders of tests import, the
# repository itself, job scripts on a cluster, scripts/bench, damaged files for all readers.
NO_ROOM = {"end_to_end", "golden", "helpers", "project", "slurm", "bench", "fuzz"}
BESIDE_THE_PACKAGE = {"callbacks", "configs", "scripts"}


def modules(tests: Path) -> list[Path]:
    return sorted(tests.rglob("*.py"))


def room(folder: Path) -> Path:
    """Where the code lies that a folder of tests/ tests."""
    return (ROOT if folder.parts[0] in BESIDE_THE_PACKAGE else ROOT / "src" / "wotempo") / folder


def astray(tests: Path) -> set[str]:
    """Folders with Python files that have the name of no room, nor of what is no room."""
    folders = {path.parent.relative_to(tests) for path in modules(tests)} - {Path()}
    return {str(folder) for folder in folders if folder.parts[0] not in NO_ROOM and not room(folder).is_dir()}


def doubled(tests: Path) -> set[str]:
    """pytest imports every module by its bare name: of two that share one, one is not collected."""
    count = Counter(path.name for path in modules(tests) if path.name != "conftest.py")
    return {name for name, times in count.items() if times > 1}


def test_every_folder_of_tests_is_a_room():
    assert astray(TESTS) == set()


def test_module_names_are_unique():
    assert doubled(TESTS) == set()


def test_what_breaks_the_rules_is_found(tmp_path):
    right, wrong = ("navsim/a.py", "pdm/labels/a.py", "callbacks/criteria/d.py"), ("model/b.py", "pdm/scores/c.py")
    for name in (*right, *wrong):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert astray(tmp_path) == {"model", "pdm/scores"}
    assert doubled(tmp_path) == {"a.py"}
