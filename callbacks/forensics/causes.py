"""Rules that weigh the possible causes of a failure by its facts.

They are plain rules on plain data, so that each can be read and argued with: a certain sign (a NaN pose) outweighs a
strong one (weights that grew tenfold), and that a weak one (the place)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

CERTAIN, STRONG, WEAK = 100, 10, 2
GROWTH = 10.0
"""A loss, gradient or field this many times its own median of before stands out."""
WEIGHT_GROWTH = 2.0
"""Norm of all weights over that at the start; a healthy run rarely doubles it."""

MOTION_FIELDS = ("pose", "dt", "speed", "timestamp_us", "lidar_stack_pose")
TITLES = {
    "learning_rate": "learning rate",
    "ego_motion": "ego-motion or warp",
    "recurrent": "recurrent instability of the fusion stage",
    "data": "data",
    "weights": "weights that were damaged before this step",
}
CHANGES = {
    "learning_rate": "Divide the learning rate by ten, lengthen the warm-up, and clip gradients.",
    "ego_motion": "Look at the poses of the named sample, and at how they are made relative to the current frame; "
    "leave the sample out until then.",
    "recurrent": "Clip gradients, shorten the history, and normalise or bound the state between its steps; compare "
    "with a stage that has no recurrence.",
    "data": "Look at the named field and sample where it is made; leave the sample out until then.",
    "weights": "Start from an earlier checkpoint, and let the finite criterion fail instead of warn.",
}
NO_CAUSE = "Look at the named module: it, and none of the four, makes the value from sound inputs."


@dataclass
class Cause:
    """One candidate: its evidence, in sentences, and how much that weighs."""

    name: str
    weight: int = 0
    evidence: list[str] = field(default_factory=list)

    def add(self, weight: int, sentence: str) -> None:
        self.weight += weight
        self.evidence.append(sentence)


def weigh(facts: Mapping[str, Any]) -> list[Cause]:
    """All causes, the likeliest first. ``facts``: what recorder.py gathers."""
    causes = {name: Cause(name) for name in TITLES}
    _of_fields(facts, causes)
    _of_motion(facts, causes["ego_motion"])
    _of_weights(facts, causes)
    _of_history(facts, causes)
    _of_place(facts, causes)
    return sorted(causes.values(), key=lambda cause: -cause.weight)


def _of_fields(facts: Mapping[str, Any], causes: Mapping[str, Cause]) -> None:
    for name, entry in facts["fields"].items():
        if entry["not_finite"]:
            whose = f" (sample {entry['token']})" if "token" in entry else ""
            what = f"{entry['not_finite']} values of batch.{name} are not finite"
            cause = causes["ego_motion" if name in MOTION_FIELDS else "data"]
            cause.add(CERTAIN, f"{what}, the first is {entry['value']} at {entry['first']}{whose}")
    for name, values in facts["history"]["fields"].items():
        if jump := _jump(values):
            text = f"batch.{name} reaches {jump[0]:.4g}, the median of the batches before it is {jump[1]:.4g}"
            causes["ego_motion" if name in MOTION_FIELDS else "data"].add(STRONG * 2, text)


def _of_motion(facts: Mapping[str, Any], cause: Cause) -> None:
    motion = facts["ego_motion"]
    for name, count in motion.get("violations", {}).items():
        share = count / max(motion["pairs"], 1)
        if name in ("not_finite", "identity", "heading"):
            cause.add(STRONG, f"{count} poses break the rule '{name}' of the ego_motion criterion")
        elif share > 0.5:
            cause.add(STRONG, f"{share:.0%} of the frame pairs break the rule '{name}' of the ego_motion criterion")


def _of_weights(facts: Mapping[str, Any], causes: Mapping[str, Cause]) -> None:
    weights = facts["weights"]
    grown = math.isfinite(weights["growth"]) and weights["growth"] > WEIGHT_GROWTH
    if grown:
        sentence = f"the norm of all finite weights is {weights['growth']:.3g} times that at the start"
        causes["learning_rate"].add(STRONG * 2, sentence)
    if weights["not_finite"]:
        names = ", ".join(weights["not_finite"][:3])
        sentence = f"{len(weights['not_finite'])} weights were not finite before the step: {names}"
        # Where the rest grew as well, a step that was too large overflowed them.
        causes["learning_rate" if grown else "weights"].add(CERTAIN, sentence)


def _of_history(facts: Mapping[str, Any], causes: Mapping[str, Cause]) -> None:
    history, cause = facts["history"], causes["learning_rate"]
    for rates in zip(*history["learning_rates"], strict=False):
        if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
            cause.add(CERTAIN, f"the learning rate was {rates[-1]}")
        if jump := _jump(rates):
            cause.add(STRONG * 2, f"the learning rate is {jump[0]:.3g}, its median before is {jump[1]:.3g}")
    for title, series in (("loss", history["loss"]), ("norm of the gradient", history["gradient"])):
        finite = [value for value in series if value is not None and math.isfinite(value)]
        if len(finite) < 4:
            continue
        early, late = median(finite[: max(len(finite) // 2, 2)]), max(finite[-3:])
        if late > GROWTH * early > 0:
            cause.add(STRONG, f"the {title} rose from {early:.3g} to {late:.3g} in the steps before")


def _of_place(facts: Mapping[str, Any], causes: Mapping[str, Cause]) -> None:
    culprit, stage = facts["culprit"], facts["temporal_fusion"]
    inside = bool(stage) and (culprit["module"] == stage or culprit["module"].startswith(f"{stage}."))
    if inside:
        causes["recurrent"].add(WEAK, f"the value is born in {culprit['module']}, a part of the fusion stage {stage}")
    for name, sizes in culprit["repeated"].items():
        finite = [size for size in sizes if math.isfinite(size)]
        if not stage or not name.startswith(f"{stage}.") or len(finite) < 2 or finite[0] <= 0:
            continue
        ratio = finite[-1] / finite[0]
        overflows = len(finite) < len(sizes)
        if ratio > GROWTH or (overflows and inside):
            steps = ", ".join(f"{size:.3g}" for size in sizes)
            causes["recurrent"].add(STRONG, f"the output of {name} grows from call to call: {steps}")
            return  # a cell and its parts say the same


def _jump(values: Sequence[float | None]) -> tuple[float, float] | None:
    """(latest value, median of at least three before it) where the latest stands out."""
    finite = [value for value in values[:-1] if value is not None and math.isfinite(value)]
    if len(finite) < 3 or values[-1] is None:
        return None
    last, before = values[-1], median(finite)
    return (last, before) if last > GROWTH * before > 0 else None
