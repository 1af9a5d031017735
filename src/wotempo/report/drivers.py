"""The plan beside simple drivers, as SVG: displacement and score of each on the same validation scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib

from wotempo.report.curves import SETTINGS, plt, svg
from wotempo.report.numbers import as_number

PLAN = "plan"
INKS = {True: "#c2185b", False: "#8a8f98"}  # the plan is pink, as in the scenes


def draw_drivers(details: Mapping[str, Any]) -> bytes | None:
    """SVG of what the criterion ``plan`` found: ``ade`` (m) and ``pdms`` by driver; None where it compared nothing."""
    ade, pdms = ({n: as_number(v) for n, v in (details.get(of) or {}).items()} for of in ("ade", "pdms"))
    if PLAN not in ade:
        return None
    names = sorted(ade, key=lambda name: -ade[name])
    with matplotlib.rc_context(SETTINGS):
        figure, panels = plt.subplots(1, 2, figsize=(7.6, 0.5 + 0.36 * len(names)), layout="constrained", sharey=True)
        for axes, values, title in zip(
            panels, (ade, pdms), ("ADE, m: less is better", "PDMS: more is better"), strict=True
        ):
            bars = axes.barh(names, [values.get(n, 0.0) for n in names], color=[INKS[n == PLAN] for n in names])
            axes.bar_label(bars, [f"{values[n]:.2f}" if n in values else "–" for n in names], padding=3, fontsize=8)
            axes.set_title(title, fontsize=9)
            axes.margins(x=0.15)
            axes.spines[["top", "right"]].set_visible(False)
        return svg(figure)
