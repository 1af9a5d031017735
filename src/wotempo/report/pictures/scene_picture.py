"""One picture of one sample: cameras, LiDAR history and feature maps before and after the warp, BEV map, the plans.

Reads the ``samples.npz`` that a run wrote (see ``SAMPLE_FIELDS``), never live objects.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap, to_hex

from wotempo.geometry import LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid
from wotempo.navsim.files import write_bytes

matplotlib.rcParams["text.parse_math"] = False  # a $ in a name is a $

# field -> shape, for one of the S samples of a file (T frames, N anchors)
SAMPLE_FIELDS = {
    "token": "()",
    "camera": "(H, W, 3) uint8",
    "lidar": "(T, R, C) float, oldest first, each in its own axes",
    "warped": "(T, R, C) float in the current axes",
    "feature": "(T, h, w) norm of the maps that are fused, each in its own axes, NaN where there is no frame",
    "feature_warped": "(T, h, w) in the current axes, NaN where a frame shows nothing",
    "valid": "(T,) bool",
    "bev_truth": "(128, 256) uint8",
    "bev_predicted": "(128, 256) uint8",
    "expert": "(8, 3)",
    "plan": "(8, 3)",
    "all_trajectory": "(N, 8, 3), of a planner that chooses among trajectories",
    "final_rewards": "(N,), of such a planner",
}
DIMENSIONS = {
    "token": 0, "camera": 3, "lidar": 3, "warped": 3, "feature": 3, "feature_warped": 3, "valid": 1, "bev_truth": 2,
    "bev_predicted": 2, "expert": 2, "plan": 2, "all_trajectory": 3, "final_rewards": 1,
}  # fmt: skip
OF_CHOICE = ("all_trajectory", "final_rewards")
KINDS = {"token": "U", "camera": "u", "bev_truth": "u", "bev_predicted": "u", "valid": "bf"}  # the others are floats
LARGEST_FILE = 1 << 30  # bytes unpacked; a sample has some 2 MB
HISTORY = (("lidar", "history as it was (red) on now (blue)"), ("warped", "history warped onto now"))
CLASSES = ("none", "road", "walkway", "centreline", "static", "vehicle", "pedestrian", "ego")
COLOURS = ListedColormap(["#f4f4f4", "#9aa5b1", "#d8c9a8", "#ffffff", "#e08e0b", "#1f6fb2", "#c0392b", "#2e9e5b"])


def upright(raster: np.ndarray) -> np.ndarray:
    """A raster with rows x ascending and columns y ascending, as one looks at it: forward is up, left is left."""
    return raster[::-1, ::-1]


def extent(grid: BevGrid) -> tuple[float, float, float, float]:
    """matplotlib extent for an upright raster: horizontal axis y (left positive, so it falls), vertical axis x."""
    return grid.y_max, grid.y_min, grid.x_min, grid.x_max


def overlay(maps: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(T, R, C) occupancies -> (R, C, 3) with past frames in red (older is paler) and the current one in blue."""
    picture = np.ones((*maps.shape[1:], 3), np.float32)
    for age, (frame, ok) in enumerate(zip(maps[:-1][::-1], valid[:-1][::-1], strict=True)):
        if ok:
            ink = np.clip(frame, 0, 1)[..., None] * (0.9 - 0.22 * age)
            picture = picture * (1 - ink * np.array([0.05, 0.85, 0.85]))
    ink = np.clip(maps[-1], 0, 1)[..., None]
    return np.clip(picture * (1 - ink * np.array([0.9, 0.6, 0.1])), 0, 1)


def lidar_axes(axes, maps: np.ndarray, valid: np.ndarray, title: str) -> None:
    """LiDAR frames laid over each other, see ``overlay``."""
    axes.imshow(upright(overlay(maps, valid)), extent=extent(LIDAR_HISTOGRAM))
    axes.set_title(title, fontsize=9)


def legend() -> list[tuple[str, str]]:
    """Class of a BEV map and its colour, of those that are drawn."""
    return [(name, to_hex(COLOURS(index))) for index, name in enumerate(CLASSES) if index]


def map_axes(axes, raster: np.ndarray, title: str) -> None:
    """A map of classes (128, 256)."""
    shown = {"extent": extent(SEMANTIC_FRONT), "interpolation": "nearest"}
    axes.imshow(upright(raster), cmap=COLOURS, vmin=-0.5, vmax=7.5, **shown)
    axes.set_title(title, fontsize=9)


def draw_plans(axes, sample: dict[str, np.ndarray], title: str = "{}") -> None:
    """The plan and the expert's trajectory with their lengths, and below them all plans that the planner chose among,
    coloured by the rank of their reward, on the true map. ``title``: around the words for what is shown."""
    shown = "all plans by score, the chosen one, the expert" if "final_rewards" in sample else "the plan, the expert"
    map_axes(axes, sample["bev_truth"], title.format(shown))
    order = np.argsort(sample.get("final_rewards", np.zeros(0)))
    rank = np.linspace(0, 1, len(order))
    for place, index in zip(rank, order, strict=True):
        line = sample["all_trajectory"][index]
        axes.plot(line[:, 1], line[:, 0], color=colormaps["viridis"](place), lw=0.4, alpha=0.5)
    for name, colour in (("expert", "#2e9e5b"), ("plan", "#d6226a")):
        line = np.concatenate((np.zeros((1, 3)), sample[name]))
        metres = np.linalg.norm(np.diff(line[:, :2], axis=0), axis=-1).sum()
        # Points, because a plan that stands still has no line.
        axes.plot(line[:, 1], line[:, 0], color=colour, lw=2, marker="o", ms=4, label=f"{name}, {metres:.1f} m")
    for place, cause in enumerate(sample.get("causes", ())):
        _draw_cause(axes, cause, place)
    axes.legend(fontsize=7, loc="upper right")
    axes.set_xlim(SEMANTIC_FRONT.y_max, SEMANTIC_FRONT.y_min)
    axes.set_ylim(SEMANTIC_FRONT.x_min, SEMANTIC_FRONT.x_max)


def _draw_cause(axes, cause: dict, place: int) -> None:
    """Why a sub-score is lost (pdm.causes.Cause, as JSON): the boxes of ego and object at that time, and a line of
    text, of which there are ``place`` above."""
    when = "" if cause["seconds"] is None else f" at {cause['seconds']:.1f} s"
    text = f"{cause['sub_score'].upper()}: {cause['kind']}{when}"
    axes.text(0.01, 0.98 - 0.06 * place, text, transform=axes.transAxes, fontsize=6, va="top", color="#b00020")
    for name, ink in (("ego_box", "#d6226a"), ("object_box", "#b00020")):
        if cause[name] is not None:
            corners = np.array([*cause[name], cause[name][0]])
            axes.plot(corners[:, 1], corners[:, 0], color=ink, lw=1.2, ls="-" if name == "object_box" else ":")


def _draw_features(figure, cells, sample: dict[str, np.ndarray]) -> None:
    """Two rows of small maps: every frame's features as they were, and as the warp laid them onto now."""
    frames, low = len(sample["feature"]), float(np.nanmin(sample["feature"]))
    high = float(np.nanmax(sample["feature"]))
    grid = cells.subgridspec(2, frames)
    for row, (name, title) in enumerate((("feature", "as recorded"), ("feature_warped", "warped onto now"))):
        for column in range(frames):
            axes = figure.add_subplot(grid[row, column])
            raster = upright(sample[name][column])
            axes.imshow(raster, extent=extent(LIDAR_HISTOGRAM), cmap="magma", vmin=low, vmax=high)
            axes.set_facecolor("#d0d0d0")
            age = frames - 1 - column
            axes.set_title(f"features {title}, {f'{age} frames ago' if age else 'now'}", fontsize=7)
            axes.tick_params(labelsize=6)


def draw_sample(sample: dict[str, np.ndarray], path: Path) -> None:
    """Write one PNG."""
    temporal = len(sample["lidar"]) > 1
    figure = plt.figure(figsize=(13, 12.4 if temporal else 7.4), layout="constrained")
    grid = figure.add_gridspec(3 + temporal, 6, height_ratios=(1.05, 1.5, 1.0, 1.9)[: 3 + temporal])
    camera = figure.add_subplot(grid[0, :])
    camera.imshow(sample["camera"])
    camera.set_title(f"left, front, right camera as the network sees them · scene {sample['token']}", fontsize=9)
    camera.axis("off")
    lidar_axes(figure.add_subplot(grid[1, 0:2]), sample["lidar"][-1:], np.ones(1, bool), "LiDAR histogram, now")
    for column, (name, title) in enumerate(HISTORY if temporal else (), 1):
        axes = figure.add_subplot(grid[1, 2 * column : 2 * column + 2])
        lidar_axes(axes, sample[name], sample["valid"], title)
    map_axes(figure.add_subplot(grid[2, 0:2]), sample["bev_truth"], "BEV map, truth")
    map_axes(figure.add_subplot(grid[2, 2:4]), sample["bev_predicted"], "BEV map, predicted")
    draw_plans(figure.add_subplot(grid[2, 4:6]), sample)
    if temporal:
        _draw_features(figure, grid[3, :], sample)
    write_png(figure, path)


def write_png(figure, path: Path) -> None:
    """A figure as a picture; the figure is closed."""
    file = io.BytesIO()
    figure.savefig(file, dpi=110)
    plt.close(figure)
    write_bytes(path, file.getvalue())


def read_samples(file: Path) -> list[dict[str, np.ndarray]]:
    """The samples of a ``samples.npz``, each with those of SAMPLE_FIELDS that are there. ValueError where one lacks a
    field that every sample has, or has another shape."""
    stored = _arrays(file)
    if lacks := [name for name in SAMPLE_FIELDS if name not in stored and name not in OF_CHOICE]:
        raise ValueError(f"it lacks {', '.join(lacks)}")
    count = len(stored["token"]) if stored["token"].ndim else 0
    for name, array in stored.items():
        if array.ndim != DIMENSIONS[name] + 1 or len(array) != count or array.dtype.kind not in KINDS.get(name, "f"):
            raise ValueError(f"{name} is of kind {array.dtype} and shape {array.shape}")
    frames = {stored[name].shape[1] for name in ("lidar", "warped", "feature", "feature_warped", "valid")}
    plans = {stored[name].shape[1] for name in OF_CHOICE if name in stored}
    alike = stored["expert"].shape == stored["plan"].shape == (count, *stored["plan"].shape[1:2], 3)
    if len(frames) != 1 or 0 in frames or len(plans) > 1 or not alike or 0 in stored["camera"].shape[1:]:
        raise ValueError("its fields do not fit each other")
    return [{name: array[i] for name, array in stored.items()} for i in range(count)]


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """Those of SAMPLE_FIELDS in an npz, whose sizes are looked at before memory is taken."""
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:  # numpy leaves a damaged one open
        if (size := sum(member.file_size for member in archive.zip.infolist())) > LARGEST_FILE:
            raise ValueError(f"it unpacks to {size} bytes")
        return {name: archive[name] for name in SAMPLE_FIELDS if name in archive.files}


def draw_samples(file: Path, folder: Path) -> list[Path]:
    """Draw every sample of a ``samples.npz`` -> the PNGs."""
    pictures = []
    for sample in read_samples(file):
        pictures.append(folder / f"{sample['token']}.png")
        draw_sample(sample, pictures[-1])
    return pictures
