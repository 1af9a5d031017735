"""The terminal that tables are printed on: a name in them is a name, whatever it looks like."""

from __future__ import annotations

from rich.console import Console


def console(width: int) -> Console:
    """Without rich's own marks: [x] and :x: in a name or a path stand as they are."""
    return Console(width=width, markup=False, emoji=False)
