"""One scene of a report as one small picture, and some scenes as a moving one.

What a sample has besides SAMPLE_FIELDS where the data and the checkpoint were at hand (of a planner that imagines no
future, or does not choose, what is there): ``future_truth``, (128, 256) uint8, the map in 4 s, the ego at the anchor
that is nearest to the expert's trajectory; ``future_predicted``, (128, 256) uint8, imagined for that anchor;
``camera_expert`` and ``camera_plan``, (K, 2), and ``camera_all``, (N, K, 2): trajectories in pixels of the camera
picture, NaN where they are out of sight. ``causes``: why its plan lost sub-scores (pdm.causes.Cause, as JSON).
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from PIL import Image

from wotempo.report.pictures.scene_picture import draw_plans, lidar_axes, map_axes

CARD_QUALITY = 80
MOVING_BYTES = 1_500_000
MOVING_QUALITIES = (70, 50, 30, 15)
FRAME_MS = 500  # the windows are half a second apart


def scene_card(sample: dict[str, np.ndarray]) -> bytes:
    """WebP: camera with the trajectories; maps now and in 4 s; history before and after the warp; all plans."""
    figure = plt.figure(figsize=(11, 7.4), layout="constrained")
    rows = figure.add_gridspec(3, 4, height_ratios=(1.25, 0.8, 1.35))
    _camera(figure.add_subplot(rows[0, :]), sample)
    titles = {"bev_truth": "now, truth", "bev_predicted": "now, predicted"}
    if "future_truth" in sample:
        titles |= {"future_truth": "in 4 s, truth", "future_predicted": "in 4 s, imagined"}
    for column, (name, title) in enumerate(titles.items()):
        map_axes(figure.add_subplot(rows[1, column]), sample[name], f"BEV map {title}")
    if len(sample["lidar"]) > 1:
        for column, (name, title) in enumerate((("lidar", "as it was"), ("warped", "warped onto now"))):
            axes = figure.add_subplot(rows[2, column])
            lidar_axes(axes, sample[name], sample["valid"], f"LiDAR history {title}")
    plans = figure.add_subplot(rows[2, 2:])
    draw_plans(plans, sample, "{} (metres)")
    for axes in figure.axes[1:]:
        axes.tick_params(labelsize=6)
    if "final_rewards" in sample:
        colours = ScalarMappable(Normalize(0, 1), "viridis")
        bar = figure.colorbar(colours, ax=plans, ticks=(0, 1), fraction=0.03, pad=0.01)
        bar.ax.set_yticklabels(["lowest\nreward", "highest"], fontsize=7)
    return _encode([_rendered(figure, 80)], CARD_QUALITY)


def _camera(axes, sample: dict[str, np.ndarray]) -> None:
    axes.imshow(sample["camera"])
    axes.set_title(f"left, front, right camera · scene {sample['token']}", fontsize=9)
    axes.axis("off")
    if "camera_plan" not in sample:
        return
    width = sample["camera"].shape[1]
    order = np.argsort(sample.get("final_rewards", np.zeros(0)))
    for place, index in zip(np.linspace(0, 1, len(order)), order, strict=True):
        _line(axes, sample["camera_all"][index], width, color=colormaps["viridis"](place), lw=1.0, alpha=0.7)
    for name, colour in (("expert", "#2ee57b"), ("plan", "#ff2d83")):
        _line(axes, sample[f"camera_{name}"], width, color=colour, lw=2.2, label=name)
    axes.legend(fontsize=7, loc="upper right")
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(sample["camera"].shape[0] - 0.5, -0.5)


def _line(axes, pixels: np.ndarray, width: int, **style) -> None:
    """Broken where it passes from one camera to the next."""
    line = pixels.copy()
    jumps = np.flatnonzero(np.abs(np.diff(line[:, 0])) > width / 6) + 1
    axes.plot(*np.insert(line, jumps, np.nan, axis=0).T, **style)


def _rendered(figure, dpi: int) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, dpi=dpi)
    plt.close(figure)
    return Image.open(file).convert("RGB")


def _encode(pictures: list[Image.Image], quality: int) -> bytes:
    file = io.BytesIO()
    moving = {"save_all": True, "append_images": pictures[1:], "duration": FRAME_MS, "loop": 0}
    pictures[0].save(file, "webp", quality=quality, method=4, **(moving if len(pictures) > 1 else {}))
    return file.getvalue()


def moving_scene(samples: list[dict[str, np.ndarray]]) -> bytes:
    """Animated WebP, two windows a second, below ``MOVING_BYTES``: camera above, map and plans below."""
    pictures = []
    for sample in samples:
        figure = plt.figure(figsize=(9, 4.6), layout="constrained")
        rows = figure.add_gridspec(2, 2, height_ratios=(1, 1.05))
        _camera(figure.add_subplot(rows[0, :]), sample)
        map_axes(figure.add_subplot(rows[1, 0]), sample["bev_predicted"], "BEV map, predicted")
        draw_plans(figure.add_subplot(rows[1, 1]), sample, "truth, {}")
        pictures.append(_rendered(figure, 70))
    encoded = b""
    for quality in MOVING_QUALITIES:
        encoded = _encode(pictures, quality)
        if len(encoded) <= MOVING_BYTES:
            break
    return encoded
