"""Folders and options of commands that take both."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotempo.command_line.words import Option, folders_and_options
from wotempo.errors import UserError

PAGE = (Option("page", "path", None, "where it goes"),)


def test_folders_of_sweeps_hold_an_equals_sign(tmp_path):
    folder = tmp_path / "fusion=convgru,seed=0"
    folder.mkdir()
    folders, given = folders_and_options([str(folder), "page=x=y.html"], PAGE)
    assert folders == [folder]
    assert given == {"page": Path("x=y.html")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--page=x"], "no option '--page=x'"),
        (["pages=x"], "did you mean 'page'"),
        (["page=x", "page=y"], "given twice"),
        (["nowhere"], "no folder nowhere"),
    ],
)
def test_bad_words_are_one_sentence(words, message):
    with pytest.raises(UserError, match=message):
        folders_and_options(words, PAGE)
