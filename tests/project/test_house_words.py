"""The words of the house: criteria have names, identifiers describe, *stage* means fusion stage only."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterable
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
    """Places where something called ``stage`` is a split: a parameter or field with the name of a split as default, a
    loop over names of splits, a comparison with one, the parameter of ``shape_contract``."""
    return [f"line {getattr(node, 'lineno', 0)}" for node in ast.walk(ast.parse(source)) if _is_a_split(node)]


def _is_a_split(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return _takes_a_split(node)
    if isinstance(node, ast.AnnAssign):
        return _is_stage(node.target) and node.value is not None and _names_a_split(node.value)
    if isinstance(node, ast.For | ast.comprehension):
        return _is_stage(node.target) and _names_a_split(node.iter)
    return False


def _takes_a_split(node: ast.FunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    if node.name in LIGHTNING or "stage" not in [argument.arg for argument in arguments]:
        return False
    defaults = [value for value in (*node.args.defaults, *node.args.kw_defaults) if value is not None]
    with_default = dict(zip(reversed([argument.arg for argument in arguments]), reversed(defaults), strict=False))
    if node.name == "shape_contract" or ("stage" in with_default and _names_a_split(with_default["stage"])):
        return True
    return any(
        isinstance(part, ast.Compare)
        and any(_is_stage(side) for side in (part.left, *part.comparators))
        and any(_names_a_split(side) for side in (part.left, *part.comparators))
        for part in ast.walk(node)
    )


def _is_stage(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "stage"


def _names_a_split(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Constant) and part.value in SPLITS for part in ast.walk(node))


def violations(find: Callable[[str], list[str]], files: Iterable[Path]) -> dict[str, list[str]]:
    found = {str(file.relative_to(ROOT)): find(file.read_text(encoding="utf-8")) for file in files}
    return {name: what for name, what in found.items() if what}


def test_criteria_are_named():
    assert violations(numbered_criteria, project_files(".py", ".md", ".yaml", ".sh", "Makefile")) == {}


def test_identifiers_describe():
    assert violations(banned_names, project_files(".py")) == {}


def test_stage_is_not_a_split():
    assert violations(stages_that_are_splits, project_files(".py")) == {}


def test_planted_violations_are_found():
    assert numbered_criteria("as criterion 10 says") == ["criterion 1"]
    assert numbered_criteria("Criteria 7 to 9 are skipped") == ["Criteria 7"]
    assert numbered_criteria("three criteria; 10 batches; criterion gradient_flow") == []
    assert banned_names("def f(x):\n    said = x\n    return said.peers\n") == ["said", "said", "peers"]
    assert banned_names("# it is said\nx = 'peers'\n") == []
    assert stages_that_are_splits("def shape_contract(self, stage): ...") == ["line 1"]
    assert stages_that_are_splits("def f(stage):\n    return 1 if stage in ('val',) else 0") == ["line 1"]
    assert stages_that_are_splits("def f(a, stage='test'): ...") == ["line 1"]
    assert stages_that_are_splits("class C:\n    stage: str = 'test'") == ["line 2"]
    assert len(stages_that_are_splits("for stage in ('train', 'val'): ...\n[stage for stage in ['test']]")) == 2
    assert stages_that_are_splits("def f(stage='convgru', split='test'): ...") == []
    assert stages_that_are_splits("def setup(self, stage):\n    return stage == 'fit'") == []
    assert stages_that_are_splits("def f(stage):\n    return stage.forward('train')") == []
