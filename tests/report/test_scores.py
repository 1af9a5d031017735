"""Means, intervals and the official file of a table of scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from wotempo.report.scores import bootstrap_interval, summarise, write_official


def table(driver="model", logs=6, per_log=10, seed=0):
    """Scenes of a log resemble each other."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(0.5, 0.1, logs), per_log)
    count = logs * per_log
    return pd.DataFrame(
        {
            "driver": driver, "token": [f"{k:016x}" for k in range(count)], "log": np.repeat(np.arange(logs), per_log),
            "valid": True, "ade": rng.random(count), "score": np.clip(level + rng.normal(0, 0.02, count), 0, 1),
        }
    )  # fmt: skip


def test_the_interval_holds_the_mean_and_is_wider_than_scenes_alone_would_make_it():
    rows = table()
    low, high = bootstrap_interval(rows["score"].to_numpy(), rows["log"].to_numpy())
    assert low < rows["score"].mean() < high
    alone = bootstrap_interval(rows["score"].to_numpy(), np.arange(len(rows)))
    assert high - low > 2 * (alone[1] - alone[0])


def test_the_interval_covers_as_often_as_it_says():
    """The true mean 0.5 lies in about 95 % of intervals; with 30 logs the bootstrap is a little too narrow."""
    hits = 0
    for seed in range(200):
        rows = table(logs=30, per_log=4, seed=seed)
        low, high = bootstrap_interval(rows["score"].to_numpy(), rows["log"].to_numpy())
        hits += low <= 0.5 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_one_log_gives_no_interval():
    assert np.isnan(bootstrap_interval(np.ones(5), np.zeros(5))).all()


def test_failed_tokens_stay_in_the_mean():
    rows = table()
    rows.loc[:5, ["valid", "score", "ade"]] = False, 0.0, np.nan
    means = summarise(pd.concat([rows, table("other")]), ["ade", "score"])
    assert list(means.index) == ["other", "model"]
    assert means.loc["model", "failed"] == 6
    assert means.loc["model", "scenes"] == 60
    assert means.loc["model", "score"] == pytest.approx(rows["score"].sum() / 60)
    assert means.loc["model", "ade"] == pytest.approx(rows["ade"].dropna().mean())


def test_the_official_file(tmp_path):
    rows = table()
    rows.loc[3, "valid"] = False
    write_official(rows, ["score"], tmp_path / "model.csv")
    read = pd.read_csv(tmp_path / "model.csv", index_col=0)
    assert list(read.columns) == ["token", "valid", "score"]
    assert list(read["token"][:-1]) == list(rows["token"])
    last = read.iloc[-1]
    assert last["token"] == "average"
    assert not last["valid"]
    assert last["score"] == pytest.approx(rows["score"].mean())
