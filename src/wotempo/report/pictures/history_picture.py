"""LiDAR history on the current frame, before and after the warp: the quickest look at whether frames are aligned."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt

from wotempo.report.pictures.scene_picture import HISTORY, lidar_axes, read_samples, write_png


def draw_history(file: Path, folder: Path) -> list[Path]:
    """One PNG ``history-<token>`` per sample of a ``samples.npz``; none for a single frame."""
    drawn = []
    for sample in read_samples(file):
        if len(sample["lidar"]) == 1:
            continue
        figure, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
        for place, (name, title) in zip(axes, HISTORY, strict=True):
            lidar_axes(place, sample[name], sample["valid"], title)
        drawn.append(folder / f"history-{sample['token']}.png")
        write_png(figure, drawn[-1])
    return drawn
