"""The rooms and who may know whom (docs/architecture.md). A change of the table is a change of the architecture."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "wotempo"

ALLOWED = {
    "geometry": set(),
    "navsim": {"geometry"},
    "maps": {"geometry", "navsim"},
    "pdm": {"geometry", "navsim", "maps"},
    "city": {"geometry", "navsim", "maps"},
    "features": {"geometry", "navsim"},
    "targets": {"geometry", "navsim", "maps"},
    "data": {"navsim", "maps", "features", "targets", "geometry"},
    "fusion": {"geometry"},
    "model": {"fusion", "geometry"},
    "training": {"model", "geometry"},
    "interop": {"model", "features", "navsim", "maps", "geometry"},
    "datasets": {"navsim", "maps", "city", "config"},
    # It looks where a run would look: the run's own scenes, windows, anchors, labels and caches.
    "doctor": {"navsim", "maps", "geometry", "config", "datasets", "data", "preparation"},
    "report": {"pdm", "navsim", "maps", "geometry"},
}
# The one error class that a user can mend; the description of a batch and what a planner wants in it, which planners,
# training and data share and must not know each other for; how classes are found by their files.
EVERYBODY = {"errors", "batch", "needs", "found_by_file", "program"}


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrow"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_the_table_allows(room):
    for path in (PACKAGE / room).rglob("*.py"):
        for module in imported_modules(path):
            if not module.startswith("wotempo"):
                assert module.split(".")[0] != "callbacks", f"{path} imports callbacks"
                continue
            target = module.split(".")[1] if "." in module else ""
            assert target in ALLOWED[room] | EVERYBODY | {room}, f"{path} imports {module}"


def test_every_folder_is_a_room_of_the_table():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__" and "egg-info" not in p.name}
    assert rooms == set(ALLOWED) | {"commands"}


def test_callbacks_are_liftable():
    for path in (ROOT / "callbacks").rglob("*.py"):
        for module in imported_modules(path):
            top = module.split(".")[0]
            assert top in {"torch", "lightning", "callbacks"} or top in sys.stdlib_module_names, f"{path}: {module}"


def test_nobody_imports_commands():
    for path in list(PACKAGE.rglob("*.py")) + list((ROOT / "callbacks").rglob("*.py")):
        if "commands" in path.relative_to(ROOT).parts:
            continue
        assert not any(m.startswith("wotempo.commands") for m in imported_modules(path)), path


def test_lengths_of_maps_live_in_the_grid_only():
    """Nothing outside geometry states the extents 32 and 64 m as numbers for a raster."""
    for room in ("fusion", "model", "features", "targets", "data"):
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, float):
                    assert node.value not in (32.0, 64.0, -32.0, 0.25), f"{path}:{node.lineno} states {node.value}"
