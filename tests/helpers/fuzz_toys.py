"""Readers with a fault each, to see that it is counted as what it is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fuzz_target import Target

from wotempo.errors import UserError


def _file(folder: Path) -> Path:
    (folder / "file.bin").write_bytes(bytes(100))
    return folder / "file.bin"


def _refuses(path: Path) -> None:
    raise UserError(f"{path}: no")


def _says_nothing(path: Path) -> None:
    raise UserError("something is wrong")


def _says_much(path: Path) -> None:
    raise UserError(f"{path}: no\nat line 3")


def _raises(path: Path) -> None:
    raise KeyError(path.name)


def _crashes(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hangs(path: Path) -> None:
    while True:
        pass


def _grows(path: Path) -> int:
    return len(bytearray(b"x") * (1100 << 20))


def _asks_for_too_much(path: Path) -> None:
    try:
        bytearray(1 << 40)
    except MemoryError as error:
        raise UserError(f"{path}: no") from error


TOYS = {
    "value": Path.read_bytes, "refused": _refuses, "unclear": _says_nothing, "unclear, lines": _says_much,
    "traceback": _raises, "signal": _crashes, "hang": _hangs, "memory": _grows, "memory, caught": _asks_for_too_much,
}  # fmt: skip
TARGETS = tuple(Target(name, _file, read) for name, read in TOYS.items())
