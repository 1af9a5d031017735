"""An ablation as a page."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from callbacks.base.markdown import inline
from callbacks.base.markdown import row as markdown_row
from wotempo.report.marks import MARKS
from wotempo.report.numbers import figure, span
from wotempo.report.twins_compared import cells_of, heads_of


def markdown(view: pd.DataFrame, reference: str, metric: str, margin: float, note: str) -> str:
    """The table as a page."""
    heads = ["variant", "runs", "val loss", "ADE m", "FDE m", "PDMS", "NC", "DAC", "EP", "TTC", "C", "future mIoU",
             "future vehicle IoU", f"Δ {metric.upper()} to `{reference}` [95 %]", "finding", "Δ vehicle IoU [95 %]",
             *heads_of(view), "parameters", "of the stage", "MMAC of the stage", "s/step"]  # fmt: skip
    lines = [markdown_row(heads), "|" + "---|" * len(heads)]
    for name, row in view.iterrows():
        marked = f"{name if row['accepted'] == row['runs'] else f'✗ {name}'}{row['marks']}"
        cells = [marked, f"{row['accepted']}/{row['runs']}", figure(row["val_loss"])]
        cells += [figure(row[m]) for m in ("ade", "fde", "pdms", "nc", "dac", "ep", "ttc", "comfort")]
        cells += [figure(row["future_miou"]), figure(row["future_vehicle_iou"])]
        cells += [span(row["difference"], row["low"], row["high"], "+.3f"), str(row["finding"])]
        cells += [span(row["vehicle_difference"], row["vehicle_low"], row["vehicle_high"], "+.3f")]
        cells += cells_of(row)
        cells += [figure(row["parameters"], ",.0f"), figure(row["fusion_parameters"], ",.0f")]
        macs = row["fusion_macs"]
        cells += [figure(None if macs is None else macs / 1e6, ".1f"), figure(row["seconds_per_step"])]
        lines.append(markdown_row(cells))
    rule = (
        "Runs: accepted/all; the figures of a variant are those of its accepted runs. A difference of "
        f"{metric.upper()} counts where its interval (seeds and logs drawn together) leaves 0 out and it is at least "
        f"{margin}: decided before the first run."
    )
    rule += f" {MARKS}" if any(view["marks"]) else ""
    missing = [f"- ✗ {inline(name)}: {inline(row['statuses'])}" for name, row in view.iterrows() if row["statuses"]]
    return "\n".join([*([inline(note), ""] if note else []), *lines, "", rule, *missing, ""])


def short_table(view: pd.DataFrame, reference: str, metric: str) -> Table:
    """What fits a terminal; the page has the rest."""
    table = Table(title=f"test split, means over seeds; Δ {metric} to {reference} with its 95 % interval")
    twins = [head.replace(" [", "\n[") for head in heads_of(view)]
    heads = ("variant", "runs", f"Δ {metric}", "finding", "PDMS", "NC", "TTC", "ADE m", "future\nvehicles", *twins)
    for head in heads:
        table.add_column(head, justify="left" if head in ("variant", "finding") else "right")
    for name, row in view.iterrows():
        marked = f"{name if row['accepted'] == row['runs'] else f'✗ {name}'}{row['marks']}"
        figures = [figure(row[m]) for m in ("pdms", "nc", "ttc", "ade", "future_vehicle_iou")]
        difference = span(row["difference"], row["low"], row["high"], "+.3f").replace(" ", "\n", 1)
        own = [cell.replace(" ", "\n", 1) for cell in cells_of(row)]
        table.add_row(marked, f"{row['accepted']}/{row['runs']}", difference, str(row["finding"]), *figures, *own)
    return table
