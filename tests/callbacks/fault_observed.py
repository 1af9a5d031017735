"""What came of each fault: run once per session, by whichever worker asks first."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from endings import Left, observe_ending
from fault_run import Observed, observe
from fault_zoo import BY_NAME

from wotempo.navsim.lock import locked

RANKED = {name: fault for name, fault in BY_NAME.items() if fault.ranks}
FOLDER = Path("set by conftest.py")


def once(kind: str, name: str, observed: Callable[[Path], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """``observed(folder)``, or what it returned to the first that asked; another worker waits for that."""
    place = "".join(letter if letter.isalnum() else "-" for letter in name)
    file = FOLDER / f"{kind}-{place}.json"
    with locked(file.with_suffix(".lock"), name, wait=True):
        if not file.exists():
            with tempfile.TemporaryDirectory() as folder:
                file.write_text(json.dumps(observed(Path(folder))))
        return json.loads(file.read_text())


def single(name: str) -> Observed:
    return Observed(**once("single", name, lambda folder: [vars(seen) for seen in observe(name, folder, world=1)])[0])


def ranks(name: str) -> list[Observed]:
    found = once("ranks", name, lambda folder: [vars(seen) for seen in observe(name, folder, world=2)])
    return [Observed(**seen) for seen in found]


def ended(name: str) -> Left:
    return Left(**once("ended", name, lambda folder: [vars(observe_ending(name, folder))])[0])
