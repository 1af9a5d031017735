"""LiDAR history on the current frame, before and after the warp: the quickest look at whether frames are aligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from wotempo.geometry import LIDAR_HISTOGRAM
from wotempo.report.pictures.scene_picture import extent, overlay, upright

SIDES = (("lidar", "history as it was (red) on now (blue)"), ("warped", "history warped onto now"))


def draw_history(file: Path, folder: Path) -> list[Path]:
    """One PNG ``history-<token>`` per sample of a ``samples.npz``; none for a single frame."""
    stored = np.load(file, allow_pickle=False)
    drawn = []
    for index, token in enumerate(stored["token"] if stored["lidar"].shape[1] > 1 else ()):
        figure, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
        for place, (name, title) in zip(axes, SIDES, strict=True):
            place.imshow(upright(overlay(stored[name][index], stored["valid"][index])), extent=extent(LIDAR_HISTOGRAM))
            place.set_title(title, fontsize=9)
        drawn.append(folder / f"history-{token}.png")
        figure.savefig(drawn[-1], dpi=110)
        plt.close(figure)
    return drawn
