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
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

POINTS = 600  # of a curve: more than a screen shows
SMOOTH = 0.04  # of a run: as wide is the running median
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "wotempo", "font.family": "sans-serif", "font.size": 9}
SETTINGS["text.parse_math"] = False  # a $ in a name is a $


@dataclass(frozen=True)
class Panel:
    """``columns``: a pattern for the columns of metrics.csv that it shows; the group is the name in the legend.
    ``caption``: what the title does not say."""

    title: str
    unit: str
    columns: str
    loss: bool = False  # noisy, on a logarithmic scale
    caption: str = ""


PANELS = (
    Panel("Loss", "weighted sum", r"(?:(train)/loss|(val)/loss)", loss=True,
          caption="train: each batch; val: mean over the validation split"),
    Panel("Terms of the training loss", "weighted loss", r"train/(?!loss$)(?!.*reward)(.+)", loss=True,
          caption="map: BEV map now; fut_map: BEV map in 4 s; traj_offset: distance to the expert"),
    Panel("Rewards in training", "weighted loss", r"train/(.*reward)", loss=True,
          caption="im: which anchor is the expert's; sim: the simulated scores NC, DAC, EP, TTC, C"),
    Panel("Rewards in validation", "accuracy; EP: error", r"val/(.+(?:_accuracy|_mae))",
          caption="simulated scores as predicted, against their labels; ep_mae: mean absolute error, lower is better"),
    Panel("Displacement in validation", "metres", r"val/([af]de)",
          caption="from the expert's positions: mean over 4 s (ade), at 4 s (fde)"),
    Panel("BEV map in validation", "IoU", r"val/(.*iou)", caption="miou: mean over the classes; future: in 4 s"),
    Panel("Learning rates", "learning rate", r"lr-\w+/(.+)", caption="a dashed line lies on another one"),
    Panel("Share of the gradient that reaches a frame", "share", r"history/grad_share_(\d+)",
          caption="0: the current frame; 1: the one before it; and so on"),
    Panel("Seconds per step", "seconds", r"(step_seconds|seconds_per_step)", caption="data loading excluded"),
)  # fmt: skip


def matching(panel: Panel, curves: pd.DataFrame) -> dict[str, pd.Series]:
    """legend -> values by step."""
    found = {}
    for column in curves.columns:
        match = re.fullmatch(panel.columns, column)
        values = curves.set_index("step")[column].dropna() if match else None
        if match and values is not None and len(values):
            found[next(group for group in match.groups() if group)] = values
    return found


def draw(panel: Panel, series: dict[str, pd.Series], last: int | None = None) -> bytes:
    """SVG. series: legend -> values by step. A long one of a loss is faint, its running median strong. ``last``: where
    the axis ends, so that all panels of a run show the same steps."""
    with matplotlib.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=(5.6, 2.9), layout="constrained")
        for name, values in series.items():
            of, style = thinned(values), _style(name, series)
            if panel.loss and len(of) > 100:
                width = int(SMOOTH * len(of)) | 1
                shade = axes.plot(of.index, of, lw=0.6, alpha=0.3)[0].get_color()
                of = of.rolling(width, center=True, min_periods=1).median()
                axes.plot(of.index, of, label=name, lw=1.6, color=shade, ls=style)
            else:
                marker = "o" if len(of) <= 25 else ""
                axes.plot(of.index, of, label=name, lw=1.3, ls=style, marker=marker, ms=3.5)
        whole = pd.concat(list(series.values()))
        if panel.loss and (whole > 0).all():
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        end = last or whole.index.max()
        axes.set_xlim(-0.02 * end, 1.02 * end + 1)
        axes.set(title=panel.title, xlabel="step", ylabel=panel.unit)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7.5, ncols=2 if len(series) > 3 else 1)
        return svg(figure)


def svg(figure) -> bytes:
    """A figure made under SETTINGS, closed; the same bytes for the same content."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return file.getvalue()


def _style(name: str, series: dict[str, pd.Series]) -> str:
    """Dashed where it would hide an earlier line."""
    earlier = list(series)[: list(series).index(name)]
    return "--" if any(series[name].equals(series[other]) for other in earlier) else "-"


def thinned(values: pd.Series) -> pd.Series:
    if len(values) <= POINTS:
        return values
    group = np.arange(len(values)) * POINTS // len(values)
    middle = values.groupby(group).median()
    middle.index = pd.Index(values.index.to_series().groupby(group).first())
    return middle
