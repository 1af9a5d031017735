"""The replay of a recorded step from its files alone, and its comparison with the record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins import Precision

from callbacks.base.checksum import read_saved
from callbacks.base.random_state import rewound
from callbacks.criteria.ego_motion import EXACT, STATISTICAL, EgoMotionGuard, motion_faults
from callbacks.criteria.history import FAULTS, HistoryGuard, history_faults
from callbacks.forensics.recorder import FACTS, STEP, WEIGHTS
from callbacks.measures.contract import Contract
from callbacks.measures.rerun import Finding, examine

TOLERANCE = 1e-5
"""Relative: another number of threads adds in another order."""


@dataclass(frozen=True)
class Record:
    """What recorder.py wrote. facts: facts.json; step: step.pt; weights: weights.pt."""

    facts: dict[str, Any]
    step: dict[str, Any]
    weights: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Raises FileNotFoundError where there is no record."""
        step, weights = (read_saved(folder / name) for name in (STEP, WEIGHTS))
        return cls(json.loads((folder / FACTS).read_text(encoding="utf-8")), step, weights)


@dataclass(frozen=True)
class Outcome:
    """reproduced: the same fault in the same place. lines: what was found, in words."""

    reproduced: bool
    lines: list[str]


def reenact(record: Record, pl_module: LightningModule, precision: Precision) -> Outcome:
    """Re-execute the recorded step of ``pl_module``, which is built as it was; its weights are loaded here.

    Reproduced is a non-finite value if it is born in the same module, in the same loss terms or parameter; what is
    wrong with a batch or a shape, if it is found again; a crash, if the same exception comes; a criterion that judges
    many steps, if this step has the same losses.
    """
    facts = record.facts
    if not record.step["micro_batches"]:
        return Outcome(False, ["no batch was under way when the run failed: there is no step to do again"])
    if facts["weights_are"] != "before":
        return Outcome(False, ["the criterion failed after the optimiser had stepped: the weights before are gone"])
    pl_module.load_state_dict(record.weights["state_dict"])
    pl_module.train(record.step["training"])
    micro = record.step["micro_batches"][facts["micro_batch"]]
    batch = move_data_to_device(micro["batch"], pl_module.device)
    lines = [f"batch {micro['batch_idx']} of epoch {facts['epoch']}, samples {', '.join(facts['tokens']) or 'unnamed'}"]
    if (again := JUDGES.get(facts["criterion"])) is not None:
        finding = again(batch, pl_module)
        return Outcome(bool(finding) and finding in facts["message"], [*lines, finding or "nothing is wrong with it"])
    try:
        with rewound(micro["rng"], pl_module.device):
            context = precision.forward_context()
            found = examine(pl_module, batch, micro["batch_idx"], context, record.step["scale"])
    except Exception as error:
        same = type(error).__name__ == facts["exception"]
        return Outcome(same, [*lines, f"the step raises {type(error).__name__}: {error}"])
    if facts["criterion"] == "finite":
        return _non_finite(facts["culprit"], found, lines, facts["terms"])
    if not facts["criterion"]:
        return Outcome(False, [*lines, f"the step does not raise the {facts['exception']} of the record"])
    lines += [f"loss term {name} = {value:.6g}" for name, value in found.terms.items()]
    same = bool(facts["terms"]) and _apart(facts["terms"], found) <= TOLERANCE
    return Outcome(same, [*lines, _agreement(facts["terms"], found)])


def _non_finite(culprit: Mapping[str, Any], found: Finding, lines: list[str], terms: Mapping[str, Any]) -> Outcome:
    bad = sorted(name for name, value in found.terms.items() if not math.isfinite(value))
    then = sorted(name for name, value in terms.items() if not math.isfinite(float(value)))
    lines = [*lines, found.sentence, *([found.value] if found.value else [])]
    lines += [f"loss term {name} = {found.terms[name]}" for name in bad]
    lines += [f"first parameter with a non-finite gradient: {found.parameter}"] if found.parameter else []
    where = (found.phase, found.module, found.parameter)
    recorded = (culprit["stage"], culprit["module"], culprit["parameter"])
    same = where == recorded and bad == then and bool(bad or found.parameter)
    if not same:
        lines.append(f"recorded was: {culprit['sentence']}; loss terms {', '.join(then) or 'all finite'}")
    return Outcome(same, [*lines, _agreement(terms, found)])


def _agreement(terms: Mapping[str, Any], found: Finding) -> str:
    return f"the finite loss terms agree with the recorded ones to {_apart(terms, found):.1e} (relative)"


def _apart(terms: Mapping[str, Any], found: Finding) -> float:
    """Largest relative difference of the finite loss terms; infinite where one is missing."""
    worst = 0.0
    for name, text in terms.items():
        if name not in found.terms:
            return math.inf
        then, now = float(text), found.terms[name]
        if math.isfinite(then):
            worst = max(worst, abs(now - then) / max(abs(then), 1e-12)) if math.isfinite(now) else math.inf
    return worst


def _shapes(batch: Any, pl_module: Any) -> str:
    contract = Contract(pl_module.shape_contract("train"), pl_module)
    contract.check_batch(batch)
    contract.attach()
    try:
        if not contract.first_violation:
            examine(pl_module, batch, 0, nullcontext())
    except Exception as error:
        return contract.first_violation or str(error).partition("\n")[0]
    finally:
        contract.detach()
    return contract.first_violation


def _history(batch: Any, pl_module: Any) -> str:
    counts = history_faults(batch, HistoryGuard().moving, HistoryGuard().dt_tolerance, content=True)
    return next((sentence for name, sentence in FAULTS.items() if int(counts[name].sum())), "")


def _ego_motion(batch: Any, pl_module: Any) -> str:
    counts = motion_faults(batch, EgoMotionGuard().tolerance)
    return next((sentence for name, sentence in (EXACT | STATISTICAL).items() if int(counts[name].sum())), "")


JUDGES: dict[str, Callable[[Any, Any], str]] = {"shapes": _shapes, "history": _history, "ego_motion": _ego_motion}
"""By criterion that judges one batch: a function that words what is wrong with it as the message does."""
