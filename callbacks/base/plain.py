"""Plain data for JSON and for checkpoints, and files that are written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor


def plain(tree: Any) -> Any:
    """Nested dicts, lists and scalars only. Non-finite numbers become "nan", "inf", "-inf" (JSON has none)."""
    if isinstance(tree, Mapping):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple | set):
        return [plain(value) for value in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return str(tree)
    return tree if tree is None or isinstance(tree, bool | int | float | str) else str(tree)


def in_one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text, which may be empty."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])


def write_json(path: Path, tree: Any) -> None:
    write_atomic(path, json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_atomic(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def portable(tree: Any) -> Any:
    """Like ``plain``, but tensors stay (copies on the host) and numbers keep their values: for ``torch.save`` files
    that load with ``weights_only=True``."""
    if isinstance(tree, Tensor):
        return tree.detach().cpu().clone()
    if isinstance(tree, Mapping):
        return {key if isinstance(key, int | str) else str(key): portable(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [portable(value) for value in tree]
    return tree if tree is None or isinstance(tree, bool | int | float | str) else str(tree)
