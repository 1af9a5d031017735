"""docs/fault_matrix.md is what the tests saw."""

from __future__ import annotations

import os

import pytest
from fault_page import PAGE, WRITE, render


@pytest.mark.slow
def test_the_page_is_what_was_seen():
    page = render()
    if os.environ.get(WRITE):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, f"write it anew: {WRITE}=1"
