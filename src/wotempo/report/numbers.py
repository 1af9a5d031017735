"""Figures as tables show them; a dash where there is none."""

from __future__ import annotations

import pandas as pd


def figure(value: float | None, spec: str = ".3f") -> str:
    return "–" if pd.isna(value) else f"{value:{spec}}"


def span(value: float, low: float, high: float, spec: str = ".3f") -> str:
    """With its interval, where it has one."""
    interval = "" if pd.isna(value) or pd.isna(low) else f" [{low:{spec}}, {high:{spec}}]"
    return figure(value, spec) + interval
