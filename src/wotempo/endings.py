"""The end of a command by an exception: one sentence and an exit code, for whatever a user can cause; for what only a
fault of the program can cause, a line that names the file with the traceback."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

from wotempo.errors import UserError
from wotempo.system_errors import refusal

FAULT = 1
OURS = {"wotempo", "callbacks", "scripts"}
PACKAGES = {  # whose name is another than that of their module
    "cv2": "opencv-python-headless", "hydra": "hydra-core", "PIL": "pillow", "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}  # fmt: skip
INTERRUPTED = 130  # as shells say it
CLOSED_PIPE = 141


def ended_by(error: BaseException, folder: Path | None = None) -> int:
    """Say on stderr why a command ended -> its exit code. ``folder`` takes the traceback of a fault of the program;
    without one, or where it takes no file, the system's folder for temporary files."""
    if isinstance(error, KeyboardInterrupt):
        print("interrupted: what was prepared so far is kept", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # `… | head`: its reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    reason = str(error) if isinstance(error, UserError) else refusal(error) or unimportable(error)
    if reason is not None:
        print(f"error: {reason}", file=sys.stderr)
        return UserError.exit_code
    print(f"error: {fault(error, folder)}", file=sys.stderr)
    return FAULT


def unimportable(error: BaseException) -> str | None:
    """What cannot be imported, the line that imports it, and the way out; None for other errors."""
    found = next((e for e in (error, error.__cause__) if isinstance(e, ImportError | SyntaxError)), None)
    if found is None:
        return None
    what = " ".join(str(found.msg).split())[:200]
    if isinstance(found, SyntaxError):
        place = _place(found.filename or "", found.lineno)
        return f"{place} is no Python ({what}): mend it" if place else None
    frames = [_place(frame.filename, frame.lineno) for frame in traceback.extract_tb(found.__traceback__)]
    place = next((place for place in reversed(frames) if place), "a file")
    name = found.name or ""
    if name.partition(".")[0] in OURS:
        return f"{place} imports {name}, which fails ({what}): mend that file, or put back what it imports"
    if isinstance(found, ModuleNotFoundError) and name and "." not in name:
        package = PACKAGES.get(name, name)
        return f"the package {package} is not installed, and {place} imports it: make setup, or pip install {package}"
    return f"{place} cannot import what it needs ({what}): make setup installs packages that belong together"


def _place(file: str, line: int | None) -> str:
    """``file:line``, below the current folder where it is; '' where there is no such file."""
    path = Path(file)
    if not path.is_file():
        return ""
    here = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{here}:{line}"


def fault(error: BaseException, folder: Path | None = None) -> str:
    """What happened, where, and the file in which the traceback is kept."""
    what = " ".join(str(error).split())[:300]
    frame = next(reversed(traceback.extract_tb(error.__traceback__)), None)
    place = "" if frame is None else f" in {Path(frame.filename).name}:{frame.lineno}"
    kept = _kept("".join(traceback.format_exception(error)), folder)
    return (
        f"{type(error).__name__}{place}: {what}; this is a fault of wotempo or of code that was added to it, please "
        f"report it with the traceback in {kept}"
    )


def _kept(text: str, folder: Path | None) -> Path | str:
    for place in (folder, Path(tempfile.gettempdir())):
        if place is not None and place.is_dir() and (file := _kept_in(place, text)) is not None:
            return file
    print(text, file=sys.stderr)
    return "these lines above, as no file could be written"


def _kept_in(folder: Path, text: str) -> Path | None:
    try:
        handle, name = tempfile.mkstemp(prefix="traceback-", suffix=".txt", dir=folder, text=True)
        with os.fdopen(handle, "w") as file:
            file.write(text)
    except OSError:
        return None
    return Path(name)
