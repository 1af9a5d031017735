"""Figures of twins: from one row a pair, with intervals over districts."""

from __future__ import annotations

import numpy as np
import pytest
from twin_tables import table

from wotempo.report.twins import ALL, BOUND, TITLES, by_kind, lines, read_twin_rows, summary, with_interval


def test_figures_are_those_of_their_definitions():
    rows = table()
    value = {name: with_interval(rows, name)[0] for name in (*TITLES, *BOUND)}
    assert value["share"] == pytest.approx(0.5)
    assert value["chosen_share"] == pytest.approx(0.25)
    assert value["swap_gain"] == pytest.approx(0.3)
    assert value["headroom"] == pytest.approx(0.4)
    assert value["pair_accuracy"] == pytest.approx(rows["accuracy"].mean())
    assert np.isnan(value["accuracy_ttc"])
    assert with_interval(table(pdms=0.0, blind=0.2, knowing=0.6), "share")[0] == pytest.approx(-0.5), (
        "it may be negative"
    )


def test_intervals_draw_whole_districts():
    wide = table(accuracy=np.arange(60) % 6 / 5)  # each district of one mind
    value, low, high = with_interval(wide, "pair_accuracy")
    assert (value, with_interval(wide, "pair_accuracy")) == (pytest.approx(0.5), (value, low, high)), "drawn by a seed"
    assert low < 0.3
    assert high > 0.7
    narrow = with_interval(table(accuracy=np.arange(60) // 6 % 2.0), "pair_accuracy")
    assert narrow[2] - narrow[1] < 0.05, "districts that are alike leave nothing open"
    assert np.isnan(with_interval(table(districts=1), "share")[1:]).all(), "one district says nothing of another"


def test_a_planner_without_history_has_one_half_and_nothing():
    rows = table(accuracy=0.5, swapped=table()["pdms"], pdms=table()["pdms"])
    assert with_interval(rows, "pair_accuracy") == (0.5, 0.5, 0.5)
    assert with_interval(rows, "swap_gain") == (0, 0, 0)


def test_no_headroom_has_no_share():
    assert np.isnan(with_interval(table(knowing=table()["blind"]), "share")).all()


def test_kinds_are_told_apart():
    rows = table()
    rows.loc[rows["kind"] == "lead", "swapped"] = rows["pdms"]
    assert list(by_kind(rows)) == [ALL, "crossing", "lead"]
    found = summary(rows, TITLES)
    assert found["lead"]["swap_gain"] == [0, 0, 0]
    assert found["crossing"]["swap_gain"][0] == pytest.approx(0.3)
    assert found[ALL]["pairs"] == 60
    assert "accuracy_ttc" not in found[ALL]
    assert [line[:2] for line in lines(rows, BOUND)] == [[ALL, "60"], ["crossing", "30"], ["lead", "30"]]


def test_a_file_of_something_else_is_refused(tmp_path):
    def read(rows):
        rows.to_parquet(tmp_path / "twins.parquet")
        return read_twin_rows(tmp_path / "twins.parquet")

    assert len(read(table())) == 60
    for damaged, why in (
        (table().drop(columns="knowing"), "lacks knowing"),
        (table(pdms="high"), "another kind"),
        (table(kind=3), "another kind"),
        (table()[:0], "another kind"),
        (table(blind=np.nan), "from 0 to 1"),
        (table(knowing=7.0), "from 0 to 1"),
        (table(accuracy=np.inf), "from 0 to 1"),
        (table(pair="the same"), "stands twice"),
    ):
        with pytest.raises(ValueError, match=why):
            read(damaged)
