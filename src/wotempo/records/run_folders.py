"""The folders of runs below a folder."""

from __future__ import annotations

from pathlib import Path

VERDICT, CONFIG = "verdict.json", "config.yaml"
INSIDE = ("wandb", ".hydra")  # folders of a run that hold copies: what wandb is to upload, what Hydra was given


def run_folders(root: Path, *names: str) -> list[Path]:
    """The folders at or below ``root`` that hold one of ``names`` (default: a verdict), sorted by path."""
    found = {file.parent for name in names or (VERDICT,) for file in root.rglob(name)}
    return sorted(folder for folder in found if not set(folder.relative_to(root).parts) & set(INSIDE))
