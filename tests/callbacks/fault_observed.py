"""What came of each fault: run once per session, whoever asks first."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from endings import Left, observe_ending
from fault_run import Observed, observe
from fault_zoo import BY_NAME

RANKED = {name: fault for name, fault in BY_NAME.items() if fault.ranks}


@functools.cache
def single(name: str) -> Observed:
    with tempfile.TemporaryDirectory() as folder:
        return observe(name, Path(folder), world=1)[0]


@functools.cache
def ranks(name: str) -> list[Observed]:
    with tempfile.TemporaryDirectory() as folder:
        return observe(name, Path(folder), world=2)


@functools.cache
def ended(name: str) -> Left:
    with tempfile.TemporaryDirectory() as folder:
        return observe_ending(name, Path(folder))
