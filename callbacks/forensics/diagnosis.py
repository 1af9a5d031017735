"""The page ``diagnosis.md`` of a failure: what happened, the likeliest cause, and what to change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from callbacks.base.markdown import inline, row
from callbacks.forensics.causes import CHANGES, NO_CAUSE, STRONG, TITLES, Cause
from callbacks.forensics.evidence import spread


def diagnosis(facts: Mapping[str, Any], causes: Sequence[Cause]) -> str:
    """The page ``diagnosis.md``. ``causes``: the likeliest first (causes.py)."""
    kind = facts["criterion"] or facts["exception"]
    lines = [f"# {kind} at step {facts['step']}, epoch {facts['epoch']}, batch {facts['batch_idx']}", ""]
    lines += [inline(facts["message"]), "", *_verdict(facts, causes), ""]
    lines += ["## Evidence for and against", "", "| cause | weight | evidence |", "|---|---|---|"]
    for cause in causes:
        lines.append(row([TITLES[cause.name], cause.weight, "; ".join(cause.evidence) or "none"]))
    lines += ["", "## Where", "", *_where(facts), "", "## The steps before", "", *_before(facts)]
    if facts["ego_motion"]:
        lines += ["", "## Ego motion of the batch", "", *_motion(facts["ego_motion"])]
    lines += [
        "",
        "`step.pt` and `weights.pt` beside this page hold the step; re-execute it with `make replay RUN=<run>`.",
    ]
    return "\n".join(lines) + "\n"


def _verdict(facts: Mapping[str, Any], causes: Sequence[Cause]) -> list[str]:
    first = causes[0]
    if facts["criterion"] != "finite":
        return ["The message above is the finding; the table below says what else stands out in this step."]
    if first.weight == 0:
        return ["**No likely cause:** no sign of any of the causes below.", "", f"**Suggested change:** {NO_CAUSE}"]
    sure = "Likeliest cause" if first.weight >= STRONG else "A weak sign of"
    named = f"**{sure}: {TITLES[first.name]}.** {inline('; '.join(first.evidence))}."
    return [named, "", f"**Suggested change:** {CHANGES[first.name]}"]


def _where(facts: Mapping[str, Any]) -> list[str]:
    culprit = facts["culprit"]
    lines = [f"- {inline(culprit['sentence'])}"] if culprit["sentence"] else []
    lines += [f"- {inline(culprit['value'])}"] if culprit["value"] else []
    bad = [f"{name} = {value}" for name, value in facts["terms"].items() if not math.isfinite(value)]
    lines += [f"- loss terms: {', '.join(bad)}"] if bad else []
    if facts["micro_batches"] > 1:
        lines.append(f"- micro-batch {facts['micro_batch'] + 1} of {facts['micro_batches']} of the step")
    lines.append(f"- samples: {inline(', '.join(facts['tokens'])) or 'the batch names none'}")
    done = "not taken: the weights are those of the failing forward pass"
    lines.append(f"- the step was {done if facts['weights_are'] == 'before' else 'taken already'}")
    return lines


def _before(facts: Mapping[str, Any]) -> list[str]:
    history = facts["history"]
    lines = [f"- loss: {spread(history['loss'])}", f"- norm of the gradient: {spread(history['gradient'])}"]
    rates = list(zip(*history["learning_rates"], strict=False))
    lines += [f"- learning rate of group {number}: {spread(group)}" for number, group in enumerate(rates)]
    growth = facts["weights"]["growth"]
    return [*lines, f"- norm of the weights over that at the start of the run: {growth:.4g}"]


def _motion(motion: Mapping[str, Any]) -> list[str]:
    far = f"at most {motion['distance_m']:.4g} m and {motion['heading_rad']:.4g} rad from the current frame"
    fast = f"{motion['step_m']:.4g} m and {motion['implied_speed_m_s']:.4g} m/s between two frames"
    lines = [f"- {far}; {fast}", f"- the ego's own speed: at most {motion['own_speed_m_s']:.4g} m/s"]
    return [*lines, f"- {motion['pairs']} pairs of frames, rules broken: {motion['violations'] or 'none'}"]
