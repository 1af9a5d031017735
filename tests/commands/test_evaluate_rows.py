"""What `make evaluate` says of tokens that failed, and when nothing could be scored."""

from __future__ import annotations

import pandas as pd
import pytest

from wotempo.commands.evaluate import failures, require_some
from wotempo.errors import UserError


def rows(**reasons: list[str]) -> pd.DataFrame:
    table = [
        {"driver": driver, "token": f"{place:016x}", "valid": not reason, "reason": reason}
        for driver, of_driver in reasons.items()
        for place, reason in enumerate(of_driver)
    ]
    return pd.DataFrame(table)


def test_equal_causes_are_one_line():
    found = list(failures(rows(human=["", "only 3 of 8 frames", "only 4 of 8 frames"], model=["", "", "no route"])))
    assert found == [
        f"human: 2 tokens failed and count as 0, first {1:016x}: only 3 of 8 frames",
        f"model: 1 tokens failed and count as 0, first {2:016x}: no route",
    ]


def test_a_driver_without_one_valid_token_has_no_score():
    require_some(rows(human=["", "no route"], model=["no plan", ""]))
    with pytest.raises(
        UserError, match=r"none of the 2 tokens of model, far could be scored.*\(2, first 0{16}: no plan"
    ):
        require_some(rows(human=["", ""], model=["no plan", "no plan"], far=["away", "away"]))
