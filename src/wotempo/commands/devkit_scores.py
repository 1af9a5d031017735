"""Hold an evaluation beside the official devkit's, token by token and score by score.

Exit code 0 where both scored the same tokens alike, 1 where not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from wotempo.command_line.entry import command
from wotempo.errors import UserError
from wotempo.records.reading import readable
from wotempo.report.scores import NAMED

TOLERANCE = 1e-5  # both plan in float32, one token at a time or several
AVERAGE = "average"
NO_SCORE = {"token", "valid", *NAMED}


def read_scores(paths: list[Path]) -> pd.DataFrame:
    """Rows by token of files in the official columns, without their rows of averages. UserError names a file."""
    tables = []
    for path in paths:
        table = readable(path, _table, None)
        if table is None:
            raise UserError(f"there is no table {path}: give the csv of an evaluation")
        tables.append(table)
    rows = pd.concat(tables)
    if rows.index.has_duplicates:
        twice, places = rows.index[rows.index.duplicated()][0], ", ".join(map(str, paths))
        raise UserError(f"the token {twice} is there twice in {places}: give each part once")
    return rows


def _table(path: Path) -> pd.DataFrame:
    """Of one file. ValueError where it is of another kind."""
    table = pd.read_csv(path, index_col=0, dtype={"token": str})
    if not {"token", "valid", "score"} <= set(table.columns):
        raise ValueError(f"it has the columns {', '.join(map(str, table.columns))}, not those of an evaluation")
    table = table[~table["token"].fillna("").str.startswith(AVERAGE)].fillna({"token": ""}).set_index("token")
    if not table.index.str.fullmatch(r"\S+").all() or table["valid"].dtype != bool:
        raise ValueError("it holds rows without a token, or without True or False as valid")
    if worded := [name for name in table if name not in NO_SCORE and table[name].dtype.kind not in "fiu"]:
        raise ValueError(f"its column {worded[0]} holds what is no number")
    return table


def differences(ours: pd.DataFrame, devkit: pd.DataFrame) -> pd.DataFrame:
    """Of the tokens that both have: one row a column with the largest difference, the number of tokens beyond
    TOLERANCE and the first of them. A score that only one of them has (NaN, or a failed token) differs by infinity."""
    tokens = devkit.index.intersection(ours.index)
    if not len(tokens):
        raise UserError("the two tables share no token: evaluate the same split with both")
    columns = [name for name in devkit.columns if name in ours.columns and name not in NO_SCORE]
    a, b = (table.loc[tokens, columns].astype(float) for table in (ours, devkit))
    difference = (a - b).abs().mask(a.isna() & b.isna(), 0.0).fillna(np.inf)
    beyond = difference > TOLERANCE
    first = beyond.idxmax().where(beyond.any(), "")
    return pd.DataFrame({"largest": difference.max(), "tokens": beyond.sum(), "first": first}).rename_axis("score")


@command("<model.csv of an evaluation> <csv of the devkit> [more of its csv files …]")
def main(arguments: list[str]) -> int:
    """-> the exit code."""
    if len(arguments) < 2:
        raise UserError("name our evaluation's csv and one or more of the devkit's")
    ours, devkit = read_scores([Path(arguments[0])]), read_scores([Path(name) for name in arguments[1:]])
    table = differences(ours, devkit)
    lonely = {"ours": ours.index.difference(devkit.index), "the devkit's": devkit.index.difference(ours.index)}
    failed = {"ours": int((~ours["valid"].astype(bool)).sum()), "devkit": int((~devkit["valid"].astype(bool)).sum())}
    print(f"{len(devkit.index.intersection(ours.index))} tokens in both, failed {failed}")
    for name, tokens in lonely.items():
        if len(tokens):
            print(f"{len(tokens)} tokens in {name} alone, first {tokens[0]}")
    print(table.to_string(float_format="{:.1e}".format))
    if unseen := sorted((set(devkit.columns) ^ set(ours.columns)) - set(NAMED)):
        print(f"in one table only: {', '.join(unseen)}")
    same = not table["tokens"].any() and not any(map(len, lonely.values()))
    print(f"{'the same' if same else 'NOT the same'}, to {TOLERANCE:g}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
