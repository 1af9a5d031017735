"""A summary of scores per token: means with confidence intervals, failures, and the official file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wotempo.navsim.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd

TEST_FILE = "test.parquet"  # of a run: its scores on the test split (wotempo.evaluation.scored)
NAMED = ("metric", "token_set")  # of a table of scores: what it was measured by and on, the same in each row
FORMULAS = ("=", "+", "-", "@")

DRAWS = 2000
CONFIDENCE = 0.95


def bootstrap_interval(values: np.ndarray, groups: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of values (M,), by drawing whole groups (M,) with replacement.

    Groups are logs: scenes of one log look alike, so drawing scenes would promise too much (Field and Welsh 2007,
    "Bootstrapping clustered data"). NaN where there are fewer than two groups: they say nothing about another one.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = np.bincount(group).astype(float)
    if len(count) < 2:
        return np.nan, np.nan
    total = np.bincount(group, values)
    drawn = np.random.default_rng(seed).integers(0, len(count), (DRAWS, len(count)))
    return interval(total[drawn].sum(1) / count[drawn].sum(1))


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of values (DRAWS,)."""
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def summarise(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row per driver: scenes, failed, and for each column its mean, ``_low`` and ``_high`` of the interval.

    Failed tokens are in the means of the scores, as zeros; a displacement that does not exist is in none. Sorted by
    the last column, best first.
    """
    table = []
    for driver, of_driver in rows.groupby("driver"):
        entry = {"driver": driver, "scenes": len(of_driver), "failed": int((~of_driver["valid"]).sum())}
        for column in columns:
            known = of_driver[of_driver[column].notna()]
            entry[column] = float(known[column].mean())
            low, high = bootstrap_interval(known[column].to_numpy(), known["log"].to_numpy())
            entry |= {f"{column}_low": low, f"{column}_high": high}
        table.append(entry)
    import pandas as pd  # not for a training, which asks for the names of columns

    return pd.DataFrame(table).set_index("driver").sort_values(columns[-1], ascending=False)


def write_official(rows: pd.DataFrame, columns: list[str], path: Path) -> None:
    """One driver's rows as NAVSIM's evaluation writes them: token, valid, the columns, and a last row ``average``;
    behind them the metric and the token set, where the rows name them.

    The devkit's average leaves failed tokens out; this one counts them as 0.
    """
    named = [name for name in NAMED if name in rows]
    table = rows[["token", "valid", *columns, *named]].reset_index(drop=True)
    average = {"token": "average", "valid": bool(rows["valid"].all()), **rows[columns].mean().to_dict()}
    average |= {name: rows[name].iloc[0] for name in named}
    table.loc[len(table)] = average
    table["token"] = table["token"].map(as_cell)
    write_bytes(path, table.to_csv().encode())


def as_cell(text: str) -> str:
    """A text of a csv file, which a spreadsheet would take for a formula if it began like one."""
    return f"'{text}" if text.startswith(FORMULAS) else text
