"""Every file of the project that a page names in code marks exists, and every link of a page leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from followed_page import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
NAMED = re.compile(r"`((?:callbacks|src|tests|scripts|configs|docs)/[\w/.-]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def lost(text: str, folder: Path, added: set[str]) -> list[str]:
    """Paths and links of ``text``, a page in ``folder``, that lead nowhere; ``added``: files that the page makes."""
    names = [name for name in NAMED.findall(text) if name not in added and not (ROOT / name).exists()]
    return names + [link for link in LINK.findall(text) if not (folder / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_of_a_page_exist(page):
    added = {name for name, _ in Page(page.name).files} if page.name.startswith("adding_") else set()
    assert lost(page.read_text(encoding="utf-8"), page.parent, added) == []


def test_a_lost_path_is_found():
    text = "`src/wotempo/nowhere.py`, `callbacks/base`, [here](criteria.md#top), [there](gone.md), `src/new.py`"
    assert lost(text, ROOT / "docs", {"src/new.py"}) == ["src/wotempo/nowhere.py", "gone.md"]


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert sorted(LINK.findall(index)) == sorted(page.name for page in PAGES if page.name != "README.md")
