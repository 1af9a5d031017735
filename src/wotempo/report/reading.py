"""Files of runs, read whole or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import yaml

from wotempo.errors import UserError
from wotempo.report.evidence import changed_evidence
from wotempo.report.run_folders import VERDICT
from wotempo.report.seal import alteration

T = TypeVar("T")
M = TypeVar("M")
DAMAGE = (ValueError, KeyError, TypeError, EOFError, BadZipFile, yaml.YAMLError)  # of JSON, UTF-8, parquet, csv, npz
MUST = {"status": str, "facts": dict}


class Damaged(UserError):
    """A file of a run that cannot be read: cut, emptied, or written by something else."""


def readable(file: Path, read: Callable[[Path], T], missing: M) -> T | M:
    """What ``read`` makes of ``file``, ``missing`` where there is no such file. Damaged where it cannot."""
    if not file.is_file():
        return missing
    try:
        return read(file)
    except DAMAGE as error:
        why = (str(error).splitlines() or [""])[0][:80] or type(error).__name__
        raise Damaged(f"{file} cannot be read ({why}): copy it anew, or remove it") from error


def read_json(file: Path) -> Any:
    return json.loads(file.read_text())


ALTERED = "altered"
"""Status of a run whose verdict is not what it wrote, or whose evidence is not what was judged: it has no place."""


def read_verdict(run: Path) -> dict[str, Any] | None:
    """A run's verdict.json, None where there is none. Damaged where it is no verdict. Where it was changed since, or
    what it rests on was, its status is ALTERED and its reason says what."""
    verdict = readable(run / VERDICT, _verdict, None)
    if verdict is None:
        return None
    change = alteration(verdict) or changed_evidence(run, verdict)
    return {**verdict, "status": ALTERED, "reason": change} if change else verdict


def _verdict(file: Path) -> dict[str, Any]:
    verdict = read_json(file)
    held = verdict if isinstance(verdict, dict) else {}
    lacks = [name for name, kind in MUST.items() if not isinstance(held.get(name), kind)]
    if lacks:
        raise ValueError(f"no verdict: it lacks {', '.join(lacks)}")
    return verdict


def read_config(file: Path) -> dict[str, Any]:
    """A run's config.yaml; empty where there is none. Damaged where it holds no keys."""
    return readable(file, _mapping, {})


def _mapping(file: Path) -> dict[str, Any]:
    config = yaml.safe_load(file.read_text())
    if not isinstance(config, dict):
        raise ValueError("it holds no keys")
    return config


def read_all(runs: Iterable[Path], read: Callable[[Path], T]) -> tuple[dict[Path, T], list[str]]:
    """For commands that look through all runs, where a damaged one must not stop the others: what ``read`` makes of
    each, and a sentence on each that was passed over."""
    found, notes = {}, []
    for run in runs:
        try:
            found[run] = read(run)
        except Damaged as damage:
            notes.append(f"passed over: {damage}")
    return found, notes


def read_verdicts(runs: Iterable[Path]) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """Of those that have one, as ``read_all`` does it."""
    found, notes = read_all(runs, read_verdict)
    return {run: verdict for run, verdict in found.items() if verdict is not None}, notes
