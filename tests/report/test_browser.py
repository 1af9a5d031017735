"""The pages as a real browser draws them, cut off from the network."""

from __future__ import annotations

import numpy as np
import pytest
from browser import find_browser, save_small, screenshot
from report_runs import run_folder, scored

from wotempo.commands import compare, report


@pytest.fixture(scope="module", autouse=True)
def _browser():
    find_browser()


def check(picture) -> None:
    """Something is drawn, on white cards, and nothing sticks out to the right."""
    pixels = np.asarray(picture)
    assert (pixels == 255).all(-1).mean() > 0.3
    dark = (pixels.sum(-1) < 250).mean()
    assert 0.003 < dark < 0.3
    assert (pixels[:, -20:].sum(-1) > 600).all()


def test_a_report(tmp_path):
    run = run_folder(tmp_path / "r", "mine", status="rejected", scores=scored())
    assert report.main([str(run)]) == 0
    picture = screenshot(run / "report.html")
    check(picture)
    red, green, blue = np.asarray(picture).astype(int).transpose(2, 0, 1)
    assert ((red > 150) & (green < 60) & (blue < 60)).sum() > 500  # it says in red that the run is not accepted
    save_small(picture, tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size <= 150_000


def test_a_comparison(tmp_path):
    for seed in range(3):
        run_folder(tmp_path / f"a{seed}", "mine", seed, scores=scored(0.1, seed=seed))
        run_folder(tmp_path / f"b{seed}", "theirs", seed, scores=scored(), lr=0.2)
    runs = [str(tmp_path / f"{side}{seed}") for side in "ab" for seed in range(3)]
    assert compare.main([*runs, f"page={tmp_path / 'c.html'}"]) == 0
    picture = screenshot(tmp_path / "c.html")
    check(picture)
    red, green, blue = np.asarray(picture).astype(int).transpose(2, 0, 1)
    assert ((green - red > 60) & (green - blue > 30)).sum() > 200  # better
