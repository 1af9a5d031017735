"""The words of the house: criteria have names, identifiers describe, *stage* means fusion stage only."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUMBERED = re.compile(r"\bcriteri(?:on|a)\s+(?:number\s+)?\d", re.IGNORECASE)
BANNED = {"reckoned", "said", "Smaller", "Notice", "peers"}
SPLITS = {"train", "val", "test", "predict"}
LIGHTNING = {"setup", "teardown"}  # hooks that Lightning calls with ``stage=``


def project_files(*suffixes: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name.endswith(suffixes)]
    return [file for file in files if file.is_file() and file != Path(__file__)]


def numbered_criteria(text: str) -> list[str]:
    return [match[0] for match in NUMBERED.finditer(text)]


def banned_names(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.NAME and token.string in BANNED]


def stages_that_are_splits(source: str) -> list[str]:
    """Functions with a parameter ``stage`` whose docstring, default or body compares it with the name of a split, and
    methods ``shape_contract`` with a parameter of that name."""
    return [f"{node.name} in line {node.lineno}" for node in ast.walk(ast.parse(source)) if _takes_a_split(node)]


def _takes_a_split(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.name in LIGHTNING:
        return False
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    if "stage" not in names:
        return False
    return node.name == "shape_contract" or any(_compares_with_a_split(part) for part in ast.walk(node))


def _compares_with_a_split(part: ast.AST) -> bool:
    if not isinstance(part, ast.Compare):
        return False
    sides = [part.left, *part.comparators]
    about = any(isinstance(side, ast.Name) and side.id == "stage" for side in sides)
    return about and any(value in SPLITS for side in sides for value in _constants(side))


def _constants(node: ast.AST) -> Iterator[object]:
    return (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))


def violations(find: Callable[[str], list[str]], files: Iterable[Path]) -> dict[str, list[str]]:
    found = {str(file.relative_to(ROOT)): find(file.read_text(encoding="utf-8")) for file in files}
    return {name: what for name, what in found.items() if what}


def test_criteria_are_named():
    assert violations(numbered_criteria, project_files(".py", ".md", ".yaml", ".sh", "Makefile")) == {}


def test_identifiers_describe():
    assert violations(banned_names, project_files(".py")) == {}


def test_stage_is_not_a_split():
    inside = [file for file in project_files(".py") if file.is_relative_to(ROOT / "callbacks")]
    assert len(inside) > 20
    assert violations(stages_that_are_splits, inside) == {}


def test_planted_violations_are_found():
    assert numbered_criteria("as criterion 10 says") == ["criterion 1"]
    assert numbered_criteria("Criteria 7 to 9 are skipped") == ["Criteria 7"]
    assert numbered_criteria("three criteria; 10 batches; criterion gradient_flow") == []
    assert banned_names("def f(x):\n    said = x\n    return said.peers\n") == ["said", "said", "peers"]
    assert banned_names("# it is said\nx = 'peers'\n") == []
    assert stages_that_are_splits("def shape_contract(self, stage): ...") == ["shape_contract in line 1"]
    assert stages_that_are_splits("def f(stage):\n    return 1 if stage in ('val',) else 0") == ["f in line 1"]
    assert stages_that_are_splits("def setup(self, stage):\n    return stage == 'fit'") == []
    assert stages_that_are_splits("def f(stage):\n    return stage.forward('train')") == []
