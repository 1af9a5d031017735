"""A ``sitecustomize`` that hides packages from a Python process: as if they were not installed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

TEXT = """import sys

HIDDEN = {hidden!r}


class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_distributions(self, context):
        return [] if context.name in HIDDEN else self.finder.find_distributions(context)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Hiding(f) if hasattr(f, "find_distributions") else f for f in sys.meta_path]
"""


def hide(folder: Path, packages: Iterable[str]) -> None:
    """Writes it into ``folder``, which goes into PYTHONPATH."""
    (folder / "sitecustomize.py").write_text(TEXT.format(hidden=set(packages)))
