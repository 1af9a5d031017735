"""The one error that a user can mend, and what it says of a misspelt name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input: one clear sentence that names what is wrong and how to mend it. Commands print it and exit 2."""

    exit_code = 2


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """'did you mean …?' for a name at least so similar (0: whatever is nearest), or the list of what is known."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=cutoff)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
