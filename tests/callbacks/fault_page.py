"""docs/fault_matrix.md from what the tests saw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from endings import ENDINGS
from fault import Fault
from fault_observed import RANKED, ended, ranks, single
from fault_run import Observed
from fault_zoo import FAULTS, SECTIONS, TWO_RANKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fault_matrix.md"
WRITE = "WOTEMPO_WRITE_PAGES"
HEAD = ["fault", "criterion", "step", "exit code", "ranks", "evidence", "weights clean"]
EVIDENCE = {"step": "step", "weights": "weights", "none": "–"}
INTRO = f"""# Fault matrix

What came of each fault that the tests put into a run of a toy module under all criteria. The tests write this page
from what they saw and fail where it differs: `{WRITE}=1 python -m pytest tests/callbacks/test_fault_page.py` writes it
anew. `tests/callbacks/fault_zoo.py` lists the faults; each is a few lines.

- *criterion*: the one that decided; no other one failed. Where no criterion is concerned, the status of the verdict.
- *step*: optimiser steps done when the run ended (48 of 48: judged at the end). A fault in the middle strikes at step
  20, an ending at step 30. After SIGKILL it is the step of the latest verdict.
- *exit code*: in the verdict; behind a slash that of the process, where a signal decides it.
- *ranks*: `rank 1` the fault sat in rank 1 of two alone, `both` in what they share; either way both ended with the same
  reason, step and exit code. `–` not run with two ranks.
- *evidence*: `failure/` holds the `step` with its weights, ready to be done again; the `weights` only, where the step
  was taken already; or nothing (–), where the end of the run judges many steps.
- *weights clean*: model in memory and the latest file; `file` where the fault itself sat in the model.
"""
MISSED = """## Not found

- The shares of wrong pairs (ego_motion) and of frames with gradient (gradient_flow) are judged over all ranks together:
  one rank of more than 20, or of more than 100, can hide a fault of its own there.
"""


def table(rows: list[list[str]]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def agreement(name: str) -> str:
    if name not in RANKED:
        return "–"
    seen = ranks(name)
    alike = len({(each.status, each.criterion, each.step, each.exit_code, own_words(each)) for each in seen}) == 1
    return ("rank 1" if RANKED[name].ranks == "one" else "both") if alike else "DIFFER"


def own_words(seen: Observed) -> str:
    """The reason as the guilty rank itself tells it."""
    return seen.reason.removeprefix("rank 1: ")


def row_of(fault: Fault, seen: Observed) -> list[str]:
    clean = "yes" if seen.memory and seen.file else "file" if seen.file else "NO"
    found = seen.criterion or seen.status
    found = found if set(seen.failing) <= {seen.criterion} else f"{found} and others"
    return [
        fault.name,
        found,
        str(seen.step),
        str(seen.exit_code),
        agreement(fault.name),
        EVIDENCE[seen.evidence],
        clean,
    ]


def row_of_ending(name: str) -> list[str]:
    left = ended(name)
    code = str(left.exit_code) if left.process_code == left.exit_code else f"{left.exit_code} / {left.process_code}"
    clean = f"yes, goes on from {left.resumed}" if left.clean and not left.torn else "NO"
    return [name, left.status, str(left.step), code, agreement(name), EVIDENCE[left.evidence], clean]


def observe_all() -> None:
    """From the last to the first: the tests of the matrix, which another worker runs, begin with the first."""
    for fault in reversed(TWO_RANKS):
        ranks(fault.name)
    for ending in reversed(ENDINGS):
        ended(ending.name)
    for fault in reversed(FAULTS):
        agreement(fault.name)
        single(fault.name)


def render() -> str:
    observe_all()
    parts = [INTRO]
    for title, faults in SECTIONS.items():
        parts += [f"## {title}\n", table([row_of(fault, single(fault.name)) for fault in faults])]
    rows = [row_of(fault, ranks(fault.name)[0]) for fault in TWO_RANKS]
    parts += ["## Only with several ranks (as rank 0 tells it)\n", table(rows)]
    parts += ["## Ended from outside, or by a crash\n", table([row_of_ending(ending.name) for ending in ENDINGS])]
    parts.append(MISSED)
    right = sum(single(fault.name).criterion == fault.criterion for fault in FAULTS)
    counts = Counter(fault.criterion for fault in FAULTS)
    by_criterion = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
    found = f"{len(FAULTS)} faults ({by_criterion}), {right} found by the criterion that is meant"
    parts.append(f"{found}; {len(ENDINGS)} endings.\n")
    return "\n".join(parts)
