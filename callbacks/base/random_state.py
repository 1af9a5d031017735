"""The state of the random generators, as plain data that ``torch.load(weights_only=True)`` takes back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """Of torch on the host and on ``device``, of Python, and of numpy's global generator where it is loaded."""
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    if numpy := sys.modules.get("numpy"):
        kind, keys, *rest = numpy.random.get_state()
        # torch.load takes no array and no uint32
        state["numpy"] = [kind, torch.from_numpy(keys.astype("int64")), *rest]
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Undo everything drawn since ``random_state``; a generator that this machine lacks is left out."""
    torch.set_rng_state(state["torch"].cpu())
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
    numpy = sys.modules.get("numpy")
    if "numpy" in state and numpy is not None:
        kind, keys, *rest = state["numpy"]
        numpy.random.set_state((kind, keys.cpu().numpy().astype(numpy.uint32), *rest))


@contextmanager
def rewound(state: Mapping[str, Any], device: torch.device) -> Iterator[None]:
    """As if nothing had been drawn since ``state``, and afterwards as if nothing had been drawn inside."""
    present = random_state(device)
    set_random_state(state, device)
    try:
        yield
    finally:
        set_random_state(present, device)
