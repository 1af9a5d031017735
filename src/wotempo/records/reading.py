"""Files of runs, read whole or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from wotempo.errors import UserError
from wotempo.records.evidence import changed_evidence
from wotempo.records.forms import NUMBER, Form, completed, misfit, no_verdict
from wotempo.records.run_folders import VERDICT
from wotempo.records.seal import alteration

T = TypeVar("T")
M = TypeVar("M")
METRICS_FILE = "metrics.json"
LARGEST_TEXT = 1 << 26  # bytes of a JSON, yaml or csv file; a verdict has some 50 kB, a long run's curves some MB


class _WithoutAliases(yaml.SafeLoader):
    """Runs write none, and a few lines of them unpack to more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it holds an alias, which no run writes")
        return super().compose_node(parent, index)


class Damaged(UserError):
    """A file of a run that cannot be read: cut, emptied, or written by something else."""


def readable(file: Path, read: Callable[[Path], T], missing: M) -> T | M:
    """What ``read`` makes of ``file``, ``missing`` where there is no such file. Damaged where it cannot."""
    if not file.is_file():
        return missing
    try:
        return read(file)
    except Exception as error:  # a parser that meets damaged bytes may fail in any of its lines, with any error
        why = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise Damaged(f"{file} cannot be read ({why}): copy it anew, or remove it") from error


def spared(file: Path, read: Callable[[Path], T], missing: M, notes: list[str]) -> T | M:
    """As ``readable``; of a damaged file a sentence goes into ``notes``, and it counts as missing."""
    try:
        return readable(file, read, missing)
    except Damaged as damage:
        notes.append(f"passed over: {damage}")
        return missing


def read_text(file: Path) -> str:
    """UTF-8. ValueError where the file is larger than any that a run writes."""
    if (size := file.stat().st_size) > LARGEST_TEXT:
        raise ValueError(f"it has {size} bytes")
    return file.read_text(encoding="utf-8")


def read_json(file: Path, form: Form = object) -> Any:
    """Plain data of a form (wotempo.records.forms). ValueError where it is of another."""
    content = json.loads(text := read_text(file))
    if "\\ud" in text.lower():
        json.dumps(content, ensure_ascii=False).encode()  # half a letter cannot be shown or written anywhere
    if sentence := misfit(content, form):
        raise ValueError(sentence)
    return content


def read_metrics(file: Path) -> dict[str, float]:
    """metrics.json of a run: numbers by name, NaN among them."""
    return {name: float(value) for name, value in read_json(file, {str: NUMBER}).items()}


ALTERED = "altered"
"""Status of a run whose verdict is not what it wrote, or whose evidence is not what was judged: it has no place."""


def read_verdict(run: Path) -> dict[str, Any] | None:
    """A run's verdict.json with all parts that readers look at, None where there is none. Damaged where it is no
    verdict. Where it was changed since, or what it rests on was, its status is ALTERED and its reason says what."""
    return readable(run / VERDICT, _verdict, None)


def _verdict(file: Path) -> dict[str, Any]:
    verdict = read_json(file)
    if sentence := no_verdict(verdict):
        raise ValueError(sentence)
    change = alteration(verdict) or changed_evidence(file.parent, verdict)
    return completed({**verdict, "status": ALTERED, "reason": change} if change else verdict)


def read_config(file: Path) -> dict[str, Any]:
    """A run's config.yaml; empty where there is none. Damaged where it holds no keys."""
    return readable(file, read_mapping, {})


def read_mapping(file: Path) -> dict[str, Any]:
    """A yaml of keys, plain data. ValueError or YAMLError where it is none."""
    config = yaml.load(read_text(file), _WithoutAliases)
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
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
