"""Forms of plain data in the files of runs, and a check against them: a damaged file is refused before it is used."""

from __future__ import annotations

import math
from typing import Any

DEPTH = 40  # of nesting; a verdict has about ten
LARGEST = 1e300  # beyond it a whole number is no float

NUMBER = (int, float)
WORDED = (int, float, str)  # verdicts say "nan" and "inf" in words, because JSON has no such numbers
NONE = type(None)

# A form is a type or a tuple of forms, of which one must fit; [form]: a list of it; {str: form}: a mapping of any names
# to it; {name: form, …}: a mapping in which those of the names that are there are of that form; Whole: all are there.
Form = Any


class Whole(dict[str, Form]):
    """A form of mappings in which none of the names may be missing."""


HASH: Form = Whole(hash=str, bytes=int, time_ns=int)
HASHED: Form = {str: HASH}
DETAILS: Form = {  # of the criteria whose details are shown
    "memory": {"peak_gb_by_batch": [[NUMBER]]},
    "plan": {"ade": {str: WORDED}, "pdms": {str: WORDED}, "scenes": int, "scored": int},
}
CRITERION: Form = {
    "number": int,
    "name": str,
    "status": str,
    "policy": str,
    "allow_inconclusive": bool,
    "measured": (*WORDED, NONE),
    "limit": (*WORDED, NONE),
    "sense": str,
    "unit": str,
    "message": str,
    "hint": str,
    "exit_code": int,
    "details": dict,
}
GIT: Form = {"commit": str, "dirty": bool}
ATTEMPT: Form = {"started": str, "host": str, "command": str, "code": {str: str}}
IDENTITY: Form = {str: {str: (HASH, str)}}  # identity.json
FACTS: Form = {
    "name": str,
    "data": str,
    "note": (str, NONE),
    "next": str,
    "signature": str,
    "command": str,
    "git": (GIT, NONE),
    "planner": str,
    "seed": int,
    "mode": str,
    "fusion": {"name": str},
    "parameters": NUMBER,
    "fusion_parameters": NUMBER,
    "fusion_macs": NUMBER,
    "scenes": dict,
    "metric": str,
    "token_sets": {str: Whole(hash=str, count=int)},
    "history": str,
    "failure": str,
    "attempt": ATTEMPT,
    "extended": [dict],
    "resumed": [{**ATTEMPT, "step": int, "reason": str, "damaged": [str], "changed": [str], "ended": str, "git": GIT}],
    "out_of_memory": [{"step": int, "batch_size": int, "accumulate_grad_batches": int}],
}
VERDICT: Form = {
    "status": str,
    "exit_code": int,
    "reason": str,
    "next": (str, NONE),
    "started": str,
    "written": str,
    "seconds": NUMBER,
    "steps": int,
    "epochs": int,
    "criteria": [CRITERION],
    "cost": {"training_seconds": NUMBER, "share": (*NUMBER, NONE), "seconds_apart": NUMBER, "by_guard": {str: NUMBER}},
    "facts": FACTS,
    "versions": {str: str},
    "evidence": {"files": HASHED, "labels": {"folder": str, "files": HASHED}, "code": {str: str}},
    "seal": str,
}

FAILURE: Form = Whole(  # failure/facts.json, as far as the replay of a step reads it
    criterion=str, exception=str, message=str, weights_are=str, step=int, epoch=int, micro_batch=int, tokens=[str],
    terms={str: WORDED}, culprit=Whole(stage=str, module=str, parameter=str, sentence=str),
)  # fmt: skip
LABELS: Form = Whole(labelled=int, scenes=int, output=str)  # labels.json of a shard
JOBS: Form = Whole(jobs=[Whole(overrides=[str], folder=str)])  # jobs.json of a sweep
END: Form = Whole(exit_code=int, reason=str)  # job.json in the folder of a sweep's job

# What stands for a part that an earlier version did not write.
ABSENT: dict[str, Any] = {"exit_code": 1, "reason": "", "written": "", "steps": 0, "criteria": []}
TEXTS_OF_CRITERION = dict.fromkeys(("sense", "unit", "message", "hint"), "")
ABSENT_OF_CRITERION: dict[str, Any] = {
    **TEXTS_OF_CRITERION, "policy": "fail", "measured": None, "limit": None, "details": {},
}  # fmt: skip


def misfit(value: Any, form: Form, place: str = "it") -> str:
    """A sentence about the first part of ``value`` that is not of its form; '' where all are."""
    if isinstance(form, tuple):
        if any(not misfit(value, one, place) for one in form):
            return ""
        return f"{place} is {_kind(value)}"
    if isinstance(form, type):
        fits = isinstance(value, form) and (form is bool or not isinstance(value, bool))
        return "" if fits else f"{place} is {_kind(value)}"
    if not isinstance(value, dict if isinstance(form, dict) else list):
        return f"{place} is {_kind(value)}"
    if isinstance(form, Whole) and (lacks := [name for name in form if name not in value]):
        return f"{place} lacks {', '.join(lacks)}"
    if isinstance(value, list):
        parts = [(f"{place}[{i}]", part, form[0]) for i, part in enumerate(value)]
    else:
        parts = [(key, part, form.get(key, form.get(str))) for key, part in value.items()]
    found = (misfit(part, own, where) for where, part, own in parts if own is not None)
    return next((sentence for sentence in found if sentence), "")


def no_plain_data(value: Any, depth: int = 0) -> str:
    """A sentence about nesting or a number that no file of a run holds; '' where there is none."""
    if depth > DEPTH:
        return f"it is nested deeper than {DEPTH} times"
    if isinstance(value, float) and not math.isfinite(value):
        return f"it holds the number {value}"
    if isinstance(value, int) and abs(value) > LARGEST:
        return "it holds a whole number of more than 300 digits"
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((sentence for part in parts if (sentence := no_plain_data(part, depth + 1))), "")


def no_verdict(value: Any) -> str:
    """A sentence about why plain data is not what a run writes into verdict.json; '' where it is."""
    held = value if isinstance(value, dict) else {}
    if lacks := [name for name in ("status", "facts") if name not in held]:
        return f"no verdict: it lacks {', '.join(lacks)}"
    if sentence := misfit(value, VERDICT) or no_plain_data(value):
        return f"no verdict: {sentence}"
    for criterion in held.get("criteria", ()):
        if "name" not in criterion or "status" not in criterion:
            return "no verdict: a criterion lacks name or status"
        details = criterion.get("details", {})
        if sentence := misfit(details, DETAILS.get(criterion["name"], {})):
            return f"no verdict: {sentence}"
    return ""


def completed(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict that passed ``no_verdict``, with all parts that readers look at."""
    criteria = [ABSENT_OF_CRITERION | criterion for criterion in verdict.get("criteria", ())]
    return {**ABSENT, **verdict, "criteria": criteria}


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"of the kind {type(value).__name__}"
