"""Text of any origin within a line of a page: names, reasons and notes that must not become marks of the page."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

SPAN = re.compile(r"`[^`]+`")  # code within a line, as our own sentences have it


def one_line(text: Any) -> str:
    """Without line breaks and other signs that steer a terminal, a page or the direction of letters."""
    held = str(text)
    if not held.isprintable():
        held = "".join(" " if unicodedata.category(sign) in _STEERING else sign for sign in held)
    return " ".join(held.split())


_STEERING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def inline(text: Any) -> str:
    """For a line of Markdown, or a cell of a table: columns, code and HTML are not begun by what it holds."""
    held = one_line(text).replace("\\", "\\\\").replace("|", "\\|")
    if "`" in SPAN.sub("", held):
        held = held.replace("`", "\\`")
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\<", held)


def row(cells: list[Any]) -> str:
    """A line of a table."""
    return "| " + " | ".join(map(inline, cells)) + " |"
