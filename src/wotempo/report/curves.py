"""Curves over the steps of a run, as SVG."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

POINTS = 600  # of a curve: more than a screen shows
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "wotempo", "font.family": "sans-serif", "font.size": 9}


@dataclass(frozen=True)
class Panel:
    """``columns``: a pattern for the columns of metrics.csv that it shows; the group is the name in the legend."""

    title: str
    unit: str
    columns: str
    log: bool = False


PANELS = (
    Panel("Loss", "loss, weighted sum", r"(?:(train)/loss|(val)/loss)", log=True),
    Panel("Terms of the training loss", "loss, weighted", r"train/(?!loss$)(?!.*reward)(.+)", log=True),
    Panel("Rewards: training loss of imitation and simulation", "loss, weighted", r"train/(.*reward)", log=True),
    Panel("Rewards in validation: heads against labels", "accuracy; EP: mean error", r"val/(.+(?:_accuracy|_mae))"),
    Panel("Displacement in validation", "metres", r"val/([af]de)"),
    Panel("BEV map in validation", "IoU", r"val/(.*iou)"),
    Panel("Learning rates", "per step", r"lr-\w+/(.+)"),
    Panel("Share of the gradient that reaches a frame (0: the current one)", "share", r"history/grad_share_(\d+)"),
    Panel("Seconds per step, data loading excluded", "seconds", r"(step_seconds|seconds_per_step)"),
)


def matching(panel: Panel, curves: pd.DataFrame) -> dict[str, pd.Series]:
    """legend -> values by step."""
    found = {}
    for column in curves.columns:
        match = re.fullmatch(panel.columns, column)
        values = curves.set_index("step")[column].dropna() if match else None
        if match and values is not None and len(values):
            found[next(group for group in match.groups() if group)] = values
    return found


def draw(panel: Panel, series: dict[str, pd.Series]) -> bytes:
    """series: legend -> values by step. Where there are more than ``POINTS`` values, medians of neighbours."""
    with matplotlib.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=(5.6, 2.9), layout="constrained")
        for name, values in series.items():
            of = thinned(values)
            axes.plot(of.index, of, label=name, lw=1.3, marker="o" if len(of) <= 25 else "", ms=3.5)
        whole = pd.concat(list(series.values()))
        if panel.log and (whole > 0).all():
            axes.set_yscale("log")
        axes.set(title=panel.title, xlabel="step", ylabel=panel.unit)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7.5, ncols=2 if len(series) > 3 else 1)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return file.getvalue()


def thinned(values: pd.Series) -> pd.Series:
    if len(values) <= POINTS:
        return values
    group = np.arange(len(values)) * POINTS // len(values)
    middle = values.groupby(group).median()
    middle.index = pd.Index(values.index.to_series().groupby(group).first())
    return middle
