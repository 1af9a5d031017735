"""Waiting for what another process or thread does: for the thing itself, never for a time that should be enough."""

from __future__ import annotations

import time
from collections.abc import Callable

HANGS_S = 900.0
"""Seconds after which something hangs: far more than anything takes beside other load, so that only hangs fail."""


def wait_for(happened: Callable[[], object], what: str, every: float = 0.05) -> None:
    """Returns once ``happened()`` is true; it is asked every ``every`` seconds. AssertionError where it hangs."""
    deadline = time.monotonic() + HANGS_S
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(every)
