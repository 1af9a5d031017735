"""What came of each fault: run once per session, whoever asks first."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from endings import ENDINGS, Left, observe_ending
from fault_run import Observed, observe
from fault_zoo import ALONE, FAULTS, OUTWEIGHED, TWO_RANKS

FAULT = {fault.name: fault for fault in FAULTS}
ENDING = {ending.name: ending for ending in ENDINGS}
RANKED = {fault.name: fault for fault in [*FAULTS, *ALONE, *TWO_RANKS, *OUTWEIGHED] if fault.ranks}


@functools.cache
def single(name: str) -> Observed:
    with tempfile.TemporaryDirectory() as folder:
        return observe(FAULT[name], Path(folder), world=1)[0]


@functools.cache
def ranks(name: str) -> list[Observed]:
    with tempfile.TemporaryDirectory() as folder:
        return observe(RANKED[name], Path(folder), world=2)


@functools.cache
def ended(name: str) -> Left:
    with tempfile.TemporaryDirectory() as folder:
        return observe_ending(ENDING[name], Path(folder))
