"""The pages as a real browser draws them, cut off from the network; it takes the README's pictures, too.

WOTEMPO_SHOTS_FROM names folders of real runs, colon between them; without it the runs are made up. With
WOTEMPO_WRITE_PAGES=1 what is seen of real runs becomes docs/images/{scene,report,comparison,leaderboard}.png.
"""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, Look, save_small
from PIL import Image
from report_runs import run_folder, scored

from wotempo.commands import compare, leaderboard, report

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
FROM, WRITE = "WOTEMPO_SHOTS_FROM", "WOTEMPO_WRITE_PAGES"
README_BYTES = 250_000
PHONE = 420  # pixels


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory) -> list[Path]:
    """Folders of sweeps: the real ones that are named, else two made-up ones."""
    if FROM in os.environ:
        return [Path(folder) for folder in os.environ[FROM].split(os.pathsep)]
    root = tmp_path_factory.mktemp("runs")
    sides = {"convgru": (0.1, 0.1, "accepted"), "none": (0.0, 0.2, "accepted"),
             "the_oracle_that_knows_positions": (0.3, 0.3, "rejected")}  # fmt: skip
    for sweep in ("ablation_fusion", "ablation_of_something_else"):
        for seed in range(3):
            for name, (shift, lr, status) in sides.items():
                run = root / sweep / f"variant={name}" / f"seed={seed}"
                lr += 0.01 * len(sweep)
                run_folder(run, "ablation", seed, status, scored(shift, seed=seed + 1), lr)
    return [root / "ablation_fusion", root / "ablation_of_something_else"]


def check(look: Look, width: int = 1100) -> None:
    """Something is drawn on white cards, all of it loaded, nothing is cut, and the page keeps to itself."""
    pixels = np.asarray(look.picture)
    assert (pixels == 255).all(-1).mean() > 0.3
    assert 0.003 < (pixels.sum(-1) < 250).mean() < 0.3
    assert look.width == width
    assert (look.unloaded, look.cut, look.asked, look.console) == ([], [], [], [])


def seen(browser: Browser, page: Path, name: str, tallest: int = 1500) -> Look:
    """The page in order, folded or not, on a desk or on a phone; its picture kept where that is asked."""
    look = browser.look(page, tallest=tallest)
    check(look)
    check(browser.look(page, unfolded=True))
    assert browser.look(page, PHONE).width == PHONE
    if os.environ.get(WRITE) and FROM in os.environ:
        save_small(look.picture, IMAGES / f"{name}.png")
    return look


def test_a_report(sweeps, browser, tmp_path):
    (first, *_) = sorted(file.parent for file in sweeps[0].rglob("verdict.json"))
    page = tmp_path / "report.html"
    assert report.main([str(first), f"out={page}"]) == 0
    look = seen(browser, page, "report")
    if os.environ.get(WRITE) and FROM in os.environ:
        worst = page.read_text().split("<h2>Worst scenes", 1)[1].split("data:image/webp;base64,", 1)[1]
        card = Image.open(io.BytesIO(base64.b64decode(worst.split('"', 1)[0]))).convert("RGB")
        save_small(card, IMAGES / "scene.png")
    assert look.images >= 5
    save_small(look.picture, tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size <= 150_000


def test_a_rejected_run_is_red(browser, tmp_path):
    run = run_folder(tmp_path / "r", "mine", status="rejected", scores=scored())
    assert report.main([str(run)]) == 0
    look = browser.look(run / "report.html")
    check(look)
    red, green, blue = np.asarray(look.picture).astype(int).transpose(2, 0, 1)
    assert ((red > 150) & (green < 60) & (blue < 60)).sum() > 500


def test_a_comparison(sweeps, browser, tmp_path):
    page = tmp_path / "comparison.html"
    assert compare.main([str(sweeps[0]), "reference=none", f"page={page}"]) == 0
    look = seen(browser, page, "comparison", 1400)
    assert look.images >= 1
    if FROM not in os.environ:
        red, green, blue = np.asarray(look.picture).astype(int).transpose(2, 0, 1)
        assert ((green - red > 60) & (green - blue > 30)).sum() > 200  # better


def test_a_leaderboard(sweeps, browser, tmp_path):
    assert leaderboard.main([*map(str, sweeps), f"out={tmp_path / 'board'}"]) == 0
    seen(browser, tmp_path / "board.html", "leaderboard", 1800)


def test_what_is_wrong_with_a_page_is_seen(browser, tmp_path):
    page = tmp_path / "wrong.html"
    page.write_text(
        '<section style="overflow-x:auto"><h2>wide</h2><div style="width:3000px">.</div></section>'
        '<img src="data:image/png;base64,xx" alt="broken"><img src="http://example.invalid/a.png" alt="far">'
        "<script>console.error('oh'); nobody()</script>"
    )
    look = browser.look(page)
    assert (look.unloaded, look.cut) == (["broken", "far"], ["wide"])
    assert look.asked == ["http://example.invalid/a.png"]
    assert len(look.console) == 3
    page.write_text('<div style="width:3000px">.</div>')
    assert browser.look(page).width > 3000


def test_the_pictures_of_the_readme():
    shown = re.findall(r"docs/images/[\w.]+", (ROOT / "README.md").read_text())
    assert {f"docs/images/{name}.png" for name in ("report", "comparison", "leaderboard")} <= set(shown)
    for file in IMAGES.glob("*.png"):
        assert file.stat().st_size <= README_BYTES, file
        assert np.asarray(Image.open(file).convert("L")).std() > 15, file
