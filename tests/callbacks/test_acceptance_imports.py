"""The package can be lifted into any Lightning project: torch, lightning and the standard library, nothing else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import callbacks

FILES = sorted(Path(callbacks.__file__).parent.rglob("*.py"))
ALLOWED = {"torch", "lightning", "callbacks", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports(path):
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports break when a file is lifted alone"
            roots.add(node.module.split(".")[0])
    assert roots <= ALLOWED


def test_all_files_are_seen():
    assert len(FILES) >= 15
    assert set(callbacks.__all__) <= set(vars(callbacks))
