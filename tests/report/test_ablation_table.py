"""The table of an ablation: pairing, intervals, and that an unaccepted run cannot win."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wotempo.report.ablation import finding, future_miou, paired_difference, read_jobs, summarise
from wotempo.report.ablation_page import markdown

LOGS, PER_LOG = 12, 10


def rows(score: float, noise: np.ndarray, vehicles: int = 4) -> pd.DataFrame:
    """One run: what makes a scene hard (``noise``) is the same for all runs."""
    count = LOGS * PER_LOG
    frame = pd.DataFrame({"token": [f"{i:016x}" for i in range(count)], "log": np.repeat(np.arange(LOGS), PER_LOG)})
    for name in ("pdms", "nc", "dac", "ep", "ttc", "comfort", "ddc", "ade", "fde"):
        frame[name] = score + noise
    for k in range(8):
        frame[f"future_both_{k}"], frame[f"future_any_{k}"] = (vehicles if k == 5 else 0), (8 if k in (0, 5) else 0)
    return frame


def job(sweep: Path, variant: str, seed: int, status: str, frame: pd.DataFrame | None) -> None:
    folder = sweep / f"data.preset=small,variant={variant}" / f"seed={seed}"
    folder.mkdir(parents=True)
    if frame is not None:
        frame.to_parquet(folder / "test.parquet", index=False)
    facts = {"parameters": 1000, "fusion_parameters": 10, "fusion_macs": 2_000_000}
    verdict = {"status": status, "criteria": [], "facts": facts}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    (folder / "metrics.json").write_text(json.dumps({"val/loss": 3.0 + seed, "seconds_per_step": 0.5}))


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 0.3, LOGS * PER_LOG)


@pytest.fixture
def sweep(tmp_path, noise) -> Path:
    for seed in range(3):
        job(tmp_path, "none", seed, "accepted", rows(0.5 + 0.01 * seed, noise))
        job(tmp_path, "convgru", seed, "accepted", rows(0.55 + 0.01 * seed, noise, vehicles=6))
        job(tmp_path, "diverged", seed, "rejected", rows(0.95, noise))
        job(tmp_path, "half", seed, "rejected" if seed else "accepted", rows(0.9, noise))
    (tmp_path / "data.preset=small,variant=killed" / "seed=0").mkdir(parents=True)
    return tmp_path


def table(sweep: Path) -> pd.DataFrame:
    return summarise(read_jobs(sweep), "none", "pdms", 0.02)


def test_unaccepted_runs_are_marked_and_never_first(sweep):
    view = table(sweep)
    assert list(view.index) == ["convgru", "none", "diverged", "half", "killed"]
    page = markdown(view, "none", "pdms", 0.02, "town data")
    assert page.startswith("town data")
    assert "| ✗ diverged | 0/3 |" in page
    assert "| ✗ half | 1/3 |" in page
    assert "- ✗ half: seed 1 rejected, seed 2 rejected" in page
    assert "- ✗ killed: seed 0 incomplete" in page


def test_figures(sweep):
    view = table(sweep)
    assert view.loc["convgru", "val_loss"] == pytest.approx(4.0)
    assert view.loc["convgru", "difference"] == pytest.approx(0.05)
    assert view.loc["convgru", "finding"] == "better"
    assert view.loc["none", "finding"] == "reference"
    assert view.loc["convgru", "future_vehicle_iou"] == pytest.approx(6 / 8)
    assert view.loc["convgru", "vehicle_difference"] == pytest.approx(2 / 8)
    assert view.loc["half", "finding"] == "not accepted"  # although one of its runs scores 0.4 more
    assert future_miou(rows(0.5, np.zeros(LOGS * PER_LOG))) == pytest.approx((0 + 4 / 8) / 2)  # classes that occur


def test_pairing_sees_what_two_separate_intervals_would_not(noise):
    reference = {seed: rows(0.5, noise) for seed in range(3)}
    better = {seed: rows(0.53, noise) for seed in range(3)}
    difference, low, high = paired_difference(better, reference, "pdms")
    assert difference == pytest.approx(0.03)
    assert low == pytest.approx(0.03)
    assert high == pytest.approx(0.03)
    assert paired_difference({}, reference, "pdms") != paired_difference(better, reference, "pdms")


def test_a_difference_between_seeds_alone_is_noise(noise):
    reference = {seed: rows(0.5, noise) for seed in range(3)}
    lucky = {0: rows(0.62, noise), 1: rows(0.48, noise), 2: rows(0.49, noise)}
    difference, low, high = paired_difference(lucky, reference, "pdms")
    assert difference == pytest.approx(0.09 / 3)
    assert low < 0 < high
    assert finding(difference, low, high, "pdms", 0.02) == "within noise"


def test_the_interval_covers_what_is_true():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(60):
        hard = np.repeat(rng.normal(0, 0.2, LOGS), PER_LOG)
        sides = []
        for shift in (0.0, 0.05):
            runs = {}
            for seed in range(6):
                own = rng.normal(0, 0.05) + np.repeat(rng.normal(0, 0.1, LOGS), PER_LOG)
                runs[seed] = rows(0.5 + shift, hard + own)
            sides.append(runs)
        _, low, high = paired_difference(sides[1], sides[0], "pdms", seed=trial)
        covered += low <= 0.05 <= high
    assert covered >= 0.8 * 60  # few seeds: a bootstrap over six is a little narrow


@pytest.mark.parametrize(
    ("interval", "metric", "says"),
    [
        ((0.05, 0.03, 0.07), "pdms", "better"),
        ((-0.05, -0.07, -0.03), "pdms", "worse"),
        ((-0.5, -0.7, -0.3), "ade", "better"),
        ((0.01, 0.005, 0.015), "pdms", "below the margin"),
        ((0.05, -0.01, 0.11), "pdms", "within noise"),
        ((0.05, np.nan, np.nan), "pdms", "one run"),
        ((np.nan, np.nan, np.nan), "pdms", "–"),
    ],
)
def test_findings(interval, metric, says):
    assert finding(*interval, metric, 0.02) == says
