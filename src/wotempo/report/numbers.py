"""Figures as tables show them; a dash where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def as_number(value: Any) -> float:
    """Of a verdict's figure, which says "nan" and "inf" in words; NaN where it is no number."""
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return float(value) if isinstance(value, int | float) else np.nan


def figure(value: float | None, spec: str = ".3f") -> str:
    return "–" if pd.isna(value) else f"{value:{spec}}"


def span(value: float, low: float, high: float, spec: str = ".3f") -> str:
    """With its interval, where it has one."""
    interval = "" if pd.isna(value) or pd.isna(low) else f" [{low:{spec}}, {high:{spec}}]"
    return figure(value, spec) + interval
