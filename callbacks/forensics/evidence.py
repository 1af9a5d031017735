"""Plain numbers for the record of a failure: the latest steps, the range of every field, the motion of the poses."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from callbacks.base.protocol import missing_fields, tokens_of
from callbacks.criteria.ego_motion import EXACT, MICROSECONDS, STATISTICAL, motion_faults

SMALL = 1 << 16
"""Fields with more values than this (images, maps) are looked at after a failure only."""


def field_sizes(batch: Any) -> dict[str, Tensor]:
    """Largest absolute value of each small floating point field, on the device: cheap enough for every step."""
    fields = batch.items() if isinstance(batch, Mapping) else ()
    return {
        name: value.detach().abs().amax()
        for name, value in fields
        if isinstance(value, Tensor) and value.is_floating_point() and 0 < value.numel() <= SMALL
    }


def field_extremes(batch: Any) -> dict[str, dict[str, Any]]:
    """Per tensor of the batch: dtype, shape, smallest and largest finite value, count of non-finite ones, and the
    index and sample of the first."""
    found: dict[str, dict[str, Any]] = {}
    tokens = tokens_of(batch)
    for name, value in batch.items() if isinstance(batch, Mapping) else ():
        if not isinstance(value, Tensor) or value.numel() == 0:
            continue
        finite = torch.isfinite(value)
        clean = value[finite]
        entry: dict[str, Any] = {"dtype": str(value.dtype), "shape": list(value.shape)}
        entry["min"], entry["max"] = (float(clean.min()), float(clean.max())) if clean.numel() else (None, None)
        entry["not_finite"] = int((~finite).sum())
        if entry["not_finite"]:
            first = (~finite).nonzero()[0].tolist()
            entry |= {"first": first, "value": float(value[tuple(first)])}
            if first and len(value) == len(tokens):
                entry["token"] = tokens[first[0]]
        found[name] = entry
    return found


def motion_extremes(batch: Any) -> dict[str, Any]:
    """What the poses of a batch claim about the ego: m, rad, m/s, rad/s; empty where it has no poses, or where their
    shapes do not fit (which ``shapes`` reports).

    ``violations`` counts the kinds of ego_motion.py over the ``pairs`` of successive valid frames.
    """
    if missing_fields(batch, ("valid", "pose", "speed", "timestamp_us")):
        return {}
    places = batch["valid"].shape
    if batch["pose"].shape != (*places, 3) or any(batch[name].shape != places for name in ("speed", "timestamp_us")):
        return {}
    valid, pose = batch["valid"].bool(), batch["pose"].float()
    elapsed = (batch["timestamp_us"][:, 1:] - batch["timestamp_us"][:, :-1]) / MICROSECONDS
    pair = valid[:, 1:] & valid[:, :-1] & (elapsed > 0)
    step = pose[:, 1:] - pose[:, :-1]
    turn = torch.atan2(torch.sin(step[..., 2]), torch.cos(step[..., 2]))
    elapsed = elapsed.clamp(min=1e-3)
    counts = {name: int(value.sum()) for name, value in motion_faults(batch, 0.15).items()}
    return {
        "distance_m": _most(pose[..., :2].norm(dim=-1), valid),
        "heading_rad": _most(pose[..., 2], valid),
        "step_m": _most(step[..., :2].norm(dim=-1), pair),
        "implied_speed_m_s": _most(step[..., :2].norm(dim=-1) / elapsed, pair),
        "own_speed_m_s": _most(batch["speed"], valid),
        "yaw_rate_rad_s": _most(turn / elapsed, pair),
        "pairs": counts["pairs"],
        "violations": {name: counts[name] for name in (*EXACT, *STATISTICAL) if counts[name]},
    }


def _most(values: Tensor, use: Tensor) -> float:
    """Largest absolute value among those in use; NaN as soon as one of them is."""
    chosen = values.detach()[use].abs()
    return float(chosen.amax()) if chosen.numel() else math.nan


@dataclass
class Row:
    """One micro-batch. ``numbers``: loss terms (``loss`` is the whole) and field sizes, scalars on the device."""

    step: int
    batch_idx: int
    rates: list[float]
    terms: dict[str, Tensor] = field(default_factory=dict)
    fields: dict[str, Tensor] = field(default_factory=dict)
    gradient: Tensor | None = None


def columns(rows: Collection[Row]) -> dict[str, Any]:
    """Plain numbers by name, in the order of the rows; a number that a row lacks is None. Reads the device."""
    return {
        "step": [row.step for row in rows],
        "batch_idx": [row.batch_idx for row in rows],
        "learning_rates": [row.rates for row in rows],
        "loss": [_number(row.terms.get("loss")) for row in rows],
        "gradient": [_number(row.gradient) for row in rows],
        "terms": _columns([row.terms for row in rows]),
        "fields": _columns([row.fields for row in rows]),
    }


def _columns(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, list[float | None]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_number(row.get(name)) for row in rows] for name in names if name != "loss"}


def _number(value: Tensor | None) -> float | None:
    return None if value is None else float(value)


def spread(values: Sequence[float | None]) -> str:
    """The range of a column and its last value, in words."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return "no finite value"
    last = values[-1] if values[-1] is not None else finite[-1]
    return f"{min(finite):.4g} to {max(finite):.4g} over {len(values)} batches, the last {last:.4g}"
