"""Pictures of a few validation scenes, taken at the end of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wotempo.config.schema import RunConfig
from wotempo.data import WindowCollator
from wotempo.data.module import NavsimDataModule
from wotempo.navsim.files import archive_bytes, write_bytes
from wotempo.report.pictures.scene_picture import draw_samples
from wotempo.training.module import LitPlanner
from wotempo.training.samples import collect_samples


def save_pictures(config: RunConfig, module: LitPlanner, data: NavsimDataModule, run_dir: Path) -> list[Path]:
    """``samples.npz`` of a few validation scenes with a whole history, and its pictures; none without validation, or
    where its logs hold no boxes."""
    dataset = data.datasets.get("val")
    if config.tracking.pictures == 0 or dataset is None or "val" not in data.supervised:
        return []
    whole = np.flatnonzero(dataset.valid.all(1))
    chosen = whole[np.linspace(0, len(whole) - 1, min(config.tracking.pictures, len(whole))).astype(int)]
    if len(chosen) == 0:
        return []
    batch = WindowCollator(dataset, images=True)([dataset[int(index)] for index in chosen])
    samples: dict[str, Any] = collect_samples(module.eval().cpu(), batch, len(chosen))
    write_bytes(run_dir / "samples.npz", archive_bytes(**samples))
    return draw_samples(run_dir / "samples.npz", run_dir / "pictures")
