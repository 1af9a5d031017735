"""The rooms of ``callbacks`` import one way: base ← measures ← criteria ← forensics, and base ← verdict."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

import callbacks

ROOT = Path(callbacks.__file__).parent
MAY_IMPORT = {
    "base": set(),
    "measures": {"base"},
    "criteria": {"base", "measures"},
    "forensics": {"base", "measures", "criteria"},
    "verdict": {"base"},
}


def wrong_arrows(root: Path) -> list[str]:
    found = []
    for room, allowed in MAY_IMPORT.items():
        for file in sorted((root / room).glob("*.py")):
            for module in _imported(file):
                parts = module.split(".")
                if parts[0] != "callbacks":
                    continue
                target = parts[1] if len(parts) > 1 else "callbacks"
                # A criterion stands alone, so that one can be added or left out; other rooms hold related files.
                if target not in allowed and (target != room or room == "criteria"):
                    found.append(f"{room}/{file.name} imports {module}")
    return found


def _imported(file: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "callbacks":
            found += [f"callbacks.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def test_rooms_import_one_way():
    assert wrong_arrows(ROOT) == []


def test_every_folder_is_a_room():
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("base", "from callbacks.measures.trend import Trend"),
        ("measures", "from callbacks.forensics.recorder import FailureRecorder"),
        ("criteria", "from callbacks.criteria.budget import BudgetGuard"),
        ("forensics", "import callbacks.verdict.report"),
        ("verdict", "from callbacks import criteria"),
        ("base", "from callbacks import Guard"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, room, line):
    shutil.copytree(ROOT, tmp_path / "callbacks", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "callbacks" / room / "planted.py").write_text(line + "\n")
    (found,) = wrong_arrows(tmp_path / "callbacks")
    assert found.startswith(f"{room}/planted.py imports callbacks")
