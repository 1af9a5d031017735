"""States of fusion stages, whatever they hold: dataclasses of tensors whose first dimension is the stream."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor


def state_tensors(state: Any, prefix: str = "") -> dict[str, Tensor]:
    """Dotted field name -> tensor."""
    found: dict[str, Tensor] = {}
    if not is_dataclass(state):
        raise TypeError(f"the state of a fusion stage is a dataclass of tensors, not {type(state).__name__}")
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, Tensor):
            found[prefix + field.name] = value
        else:
            found |= state_tensors(value, f"{prefix}{field.name}.")
    return found


def state_with(state: Any, tensors: dict[str, Tensor], prefix: str = "") -> Any:
    """``state`` with its tensors replaced by those of the same names."""
    changed = {}
    for field in fields(state):
        name, value = prefix + field.name, getattr(state, field.name)
        changed[field.name] = tensors[name] if isinstance(value, Tensor) else state_with(value, tensors, f"{name}.")
    return replace(state, **changed)


def restart_rows(state: Any, fresh: Any, rows: Tensor) -> Any:
    """``state`` with the streams of ``rows`` (S,) bool as in ``fresh``."""
    new = state_tensors(fresh)
    chosen = {
        name: new[name].where(rows.view(-1, *[1] * (old.ndim - 1)), old) for name, old in state_tensors(state).items()
    }
    return state_with(state, chosen)
