"""Every bench and study finds what it imports of the rooms: nothing else runs all of them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path.relative_to(ROOT).with_suffix("") for path in (ROOT / "scripts").rglob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_it_imports(program):
    importlib.import_module(".".join(program.parts))


def test_benches_and_studies_are_among_them():
    assert {program.parts[1] for program in PROGRAMS} == {"bench", "studies"}
