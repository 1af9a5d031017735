"""The table of twin scenes that a run leaves, made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def table(
    pairs: int = 60, districts: int = 6, kinds: tuple[str, ...] = ("crossing", "lead"), **changes: Any
) -> pd.DataFrame:
    """Each pair has a headroom of 0.4, of which the plans reach a half; ``changes``: columns."""
    rng = np.random.default_rng(0)
    blind = rng.uniform(0.3, 0.5, pairs)
    rows = {"driver": "model", "pair": [f"pair {i}" for i in range(pairs)],
            "kind": [kinds[i % len(kinds)] for i in range(pairs)], "split": "test",
            "district": np.arange(pairs) % districts, "blind": blind, "knowing": blind + 0.4, "pdms": blind + 0.2,
            "swapped": blind - 0.1, "chosen": blind + 0.1, "accuracy": 0.8 + rng.normal(0, 0.05, pairs),
            "accuracy_nc": 0.7, "accuracy_ttc": np.nan}  # fmt: skip
    return pd.DataFrame({**rows, **changes})
