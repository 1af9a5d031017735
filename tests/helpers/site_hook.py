"""Python code that a command runs before its own, without a change of the command line: for faults at a known point."""

from __future__ import annotations

import os
from pathlib import Path


def with_hook(folder: Path, code: str, environment: dict[str, str]) -> dict[str, str]:
    """``environment`` in which every Python runs ``code`` when it starts; ``folder`` is created for it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    others = environment.get("PYTHONPATH")
    return environment | {"PYTHONPATH": os.pathsep.join([str(folder), *([others] if others else [])])}
