"""One picture of a twin pair: what all planners see now, and for each scene its history, its changed agents and the
plans of several planners."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The backend without a display is chosen there.
from wotempo.report.pictures.scene_picture import lidar_axes, map_axes, plt, write_png

PLANS = ("#d6226a", "#6a3d9a", "#b15928")  # a planner's colour, in the order in which planners are named
BEFORE, NOW, AFTER = "#8a8a00", "#000000", "#b00020"
AHEAD = (-8.0, 34.0)  # metres of the plans' picture: x, and y to either side
ASIDE = 28.0


@dataclass(frozen=True)
class Planned:
    """What one planner does in one scene."""

    planner: str
    plan: np.ndarray  # (P, 3) poses in the ego frame of now
    pdms: float


@dataclass(frozen=True)
class Member:
    """One scene of the pair. ``changed``: corners (4, 2) in the ego frame of now of each changed agent's box at the
    seconds beside them, 0 now."""

    sample: dict[str, np.ndarray]  # SAMPLE_FIELDS: camera, lidar, warped, valid, bev_truth, expert
    changed: list[tuple[float, np.ndarray]]
    planned: list[Planned]


def draw_pair(title: str, members: list[Member], path: Path) -> None:
    """Write one PNG."""
    figure = plt.figure(figsize=(13, 12), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=(0.8, 1.4, 1.4))
    camera = figure.add_subplot(grid[0, :])
    camera.imshow(members[0].sample["camera"])
    camera.set_title(f"{title}: left, front, right camera now, the same in both scenes", fontsize=10)
    camera.axis("off")
    for row, member in enumerate(members):
        past = figure.add_subplot(grid[1 + row, 0])
        sample, scene = member.sample, "AB"[row]
        lidar_axes(past, sample["warped"], sample["valid"], f"scene {scene}: LiDAR, past (red) on now (blue)")
        for seconds, corners in member.changed:
            if seconds <= 0:
                _box(past, corners, NOW if seconds == 0 else BEFORE)
        _window(past)
        plans = figure.add_subplot(grid[1 + row, 1])
        map_axes(plans, sample["bev_truth"], f"scene {scene}: changed agent before, now and in 1–4 s; the plans")
        for seconds, corners in member.changed:
            if seconds <= 0 or seconds % 1 == 0:
                _box(plans, corners, NOW if seconds == 0 else BEFORE if seconds < 0 else AFTER)
        _line(plans, sample["expert"], "#2e9e5b", "expert", 1.0)
        for planned, colour in zip(member.planned, PLANS, strict=False):
            _line(plans, planned.plan, colour, f"{planned.planner}: PDMS {planned.pdms:.2f}", 2.0)
        _window(plans)
        plans.legend(fontsize=8, loc="lower right")
    write_png(figure, path)


def _box(axes, corners: np.ndarray, colour: str) -> None:
    """A box from above."""
    closed = np.concatenate((corners, corners[:1]))
    axes.plot(closed[:, 1], closed[:, 0], color=colour, lw=1.3)


def _line(axes, plan: np.ndarray, colour: str, label: str, width: float) -> None:
    """A trajectory from the ego on; points, because a plan that stands still has no line."""
    line = np.concatenate((np.zeros((1, 3)), plan))
    axes.plot(line[:, 1], line[:, 0], color=colour, lw=width, marker="o", ms=3 * width**0.5, label=label, alpha=0.85)


def _window(axes) -> None:
    axes.set_xlim(ASIDE, -ASIDE)
    axes.set_ylim(*AHEAD)
    axes.set_aspect("equal")
