"""Pictures of a run for wandb: scenes, and its history before and after the warp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def log_media(run: Any, run_dir: Path, pictures: Sequence[Path]) -> None:
    """``scenes`` and, where frames were fused, ``history_warp``."""
    import wandb

    if not pictures:
        return
    from wotempo.report.pictures.history_picture import draw_history  # at the end, of some runs

    media = {"scenes": [wandb.Image(str(path), caption=path.stem) for path in pictures]}
    if history := draw_history(run_dir / "samples.npz", run_dir / "pictures"):
        media["history_warp"] = [wandb.Image(str(path), caption=path.stem) for path in history]
    run.log(media)
