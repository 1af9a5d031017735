"""An ablation as a page."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.table import Table


def markdown(view: pd.DataFrame, reference: str, metric: str, margin: float, note: str) -> str:
    """The table as a page."""
    heads = ["variant", "runs", "val loss", "ADE m", "FDE m", "PDMS", "NC", "DAC", "EP", "TTC", "C", "future mIoU",
             "future vehicle IoU", f"Δ {metric.upper()} to `{reference}` [95 %]", "finding", "Δ vehicle IoU [95 %]",
             "parameters", "of the stage", "MMAC of the stage", "s/step"]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, row in view.iterrows():
        marked = str(name) if row["accepted"] == row["runs"] else f"✗ {name}"
        cells = [marked, f"{row['accepted']}/{row['runs']}", _number(row["val_loss"])]
        cells += [_number(row[m]) for m in ("ade", "fde", "pdms", "nc", "dac", "ep", "ttc", "comfort")]
        cells += [_number(row["future_miou"]), _number(row["future_vehicle_iou"])]
        cells += [_interval(row, "difference", "low", "high"), str(row["finding"])]
        cells += [_interval(row, "vehicle_difference", "vehicle_low", "vehicle_high")]
        sizes = (row["parameters"], row["fusion_parameters"])
        cells += ["–" if size is None or np.isnan(size) else f"{int(size):,}" for size in sizes]
        macs = row["fusion_macs"]
        cells += ["–" if macs is None or np.isnan(macs) else f"{macs / 1e6:.1f}", _number(row["seconds_per_step"])]
        lines.append("| " + " | ".join(cells) + " |")
    rule = (
        "Runs: accepted/all; the figures of a variant are those of its accepted runs. A difference of "
        f"{metric.upper()} counts where its interval (seeds and logs drawn together) leaves 0 out and it is at least "
        f"{margin}: decided before the first run."
    )
    missing = [f"- ✗ {name}: {row['statuses']}" for name, row in view.iterrows() if row["statuses"]]
    return "\n".join([*([note, ""] if note else []), *lines, "", rule, *missing, ""])


def short_table(view: pd.DataFrame, reference: str, metric: str) -> Table:
    """What fits a terminal; the page has the rest."""
    table = Table(title=f"test split, means over seeds; Δ {metric} to {reference} with its 95 % interval")
    heads = ("variant", "runs", f"Δ {metric}", "finding", "PDMS", "NC", "TTC", "ADE m", "future\nvehicles")
    for head in heads:
        table.add_column(head, justify="left" if head in ("variant", "finding") else "right")
    for name, row in view.iterrows():
        marked = str(name) if row["accepted"] == row["runs"] else f"✗ {name}"
        figures = [_number(row[m]) for m in ("pdms", "nc", "ttc", "ade", "future_vehicle_iou")]
        difference = _interval(row, "difference", "low", "high").replace(" ", "\n", 1)
        table.add_row(marked, f"{row['accepted']}/{row['runs']}", difference, str(row["finding"]), *figures)
    return table


def _number(x: float) -> str:
    return "–" if np.isnan(x) else f"{x:.3f}"


def _interval(row: pd.Series, middle: str, low: str, high: str) -> str:
    if np.isnan(row[middle]):
        return "–"
    span = "" if np.isnan(row[low]) else f" [{row[low]:+.3f}, {row[high]:+.3f}]"
    return f"{row[middle]:+.3f}{span}"
