"""Hashes of what a verdict rests on: taken when a run ends, compared whenever its verdict is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FINISHED = ("accepted", "rejected")
CHECKPOINTS, CONFIG, LABELS, CODE = "checkpoints", "config.yaml", "labels", "code"


def hashed(files: Iterable[Path], root: Path) -> str:
    """16 hex digits over names (below ``root``) and contents."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.relative_to(root).as_posix().encode())
        with file.open("rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()[:16]


def described(file: Path) -> dict[str, Any]:
    """Content, and the size and time by which a later reader knows that it need not read it again."""
    state = file.stat()
    with file.open("rb") as opened:
        content = hashlib.file_digest(opened, "sha256").digest()
    return described_by(file.name, content, state.st_size, state.st_mtime_ns)


def described_by(name: str, content: bytes, size: int, time_ns: int) -> dict[str, Any]:
    """``described`` of a file whose sha256 is ``content``."""
    return {"hash": hashlib.sha256(name.encode() + content).hexdigest()[:16], "bytes": size, "time_ns": time_ns}


@cache
def code_files() -> dict[str, dict[str, str]]:
    """Package -> file -> hash, of the Python files of the two packages that are imported here. Asked for when a run
    begins: a file that is edited later is not what this process runs."""
    # `callbacks` is found, not imported: it would bring torch to commands that only read files.
    places = {
        "src/wotempo": str(Path(__file__).parents[1] / "__init__.py"),
        "callbacks": getattr(find_spec("callbacks"), "origin", None),
    }
    roots = {name: Path(place).parent for name, place in places.items() if place is not None}
    return {
        name: {file.relative_to(root).as_posix(): hashed([file], root) for file in sorted(root.rglob("*.py"))}
        for name, root in roots.items()
    }


def code_hash() -> dict[str, str]:
    """Package -> 16 hex digits over names and contents of its files."""
    return {name: hash_of(files) for name, files in code_files().items()}


def hash_of(plain: Any) -> str:
    """16 hex digits over plain data."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def token_hash(tokens: Iterable[str]) -> str:
    """16 hex digits over the distinct tokens, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(tokens))).encode()).hexdigest()[:16]


def ran_other_code(verdict: Mapping[str, Any]) -> bool:
    """Whether a run's code is not what is imported here; no for runs that did not say."""
    code = verdict.get("evidence", {}).get(CODE)
    return code is not None and code != code_hash()


def changed_midway(verdict: Mapping[str, Any]) -> bool:
    """Whether a run went on after an interruption with other code, libraries or criteria than before."""
    return any(entry.get("changed") for entry in verdict.get("facts", {}).get("resumed", ()))


def changed_evidence(run: Path, verdict: Mapping[str, Any]) -> str:
    """A sentence about the first file of the run that is not what was judged; '' where none is. Files that were removed
    are not missed: checkpoints are large. A verdict without evidence rests on nothing that can be compared."""
    for name, was in verdict.get("evidence", {}).get("files", {}).items():
        if name == CONFIG and verdict["status"] not in FINISHED:
            continue  # a later attempt, which did not get as far as a verdict, may have other keys of tracking
        file = run / name
        if file.is_file() and not same_content(file, was):
            return f"{name} is not the file that was judged: it was changed or replaced since"
    labels = verdict.get("evidence", {}).get(LABELS)
    if labels:
        for name, was in labels["files"].items():
            file = Path(labels["folder"]) / name
            if file.is_file() and not same_content(file, was):
                return f"the label table {labels['folder']} is not the one that the run was trained on: {name} changed"
    return ""


def same_content(file: Path, was: Mapping[str, Any]) -> bool:
    """Whether a file is still what ``described`` says; read only where its time is another one."""
    state = file.stat()
    if state.st_size != was["bytes"]:
        return False
    return state.st_mtime_ns == was["time_ns"] or hashed([file], file.parent) == was["hash"]
