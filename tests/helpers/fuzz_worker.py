"""The process in which damaged files are read: ``python fuzz_worker.py <folder> <module> <seconds>``.

The module has TARGETS. A question is ``<target>\t<number>``, the answer a JSON object: what came of it, and a detail.
The process may die by a reader's fault; its parent starts another one. More CPU than so many seconds for one file end
it by SIGPROF.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random

from fuzz_bytes import damage

from wotempo.errors import UserError

GIGABYTE = 1 << 30
UNDAMAGED = -1
VALUE, REFUSED, UNCLEAR, TRACEBACK, MEMORY = "value", "refused", "unclear", "traceback", "memory"


def status(name: str) -> int:
    """Bytes of VmSize, VmRSS or VmHWM."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def damaged(target, number: int, seed: Path) -> bytes:
    """Input ``number`` of a target, always the same bytes; number UNDAMAGED is the valid file."""
    if number == UNDAMAGED:
        return seed.read_bytes()
    if number < len(target.hostile):
        return target.hostile[number]()
    rng, data = Random(f"{target.name} {number}"), seed.read_bytes()
    if not target.ways or rng.random() < 0.5:
        return damage(rng, data)
    return rng.choice(target.ways)(rng, data)


def outcome(target, path: Path) -> tuple[str, str]:
    """What comes of reading ``path``, and a detail."""
    try:
        target.read(path)
    except UserError as error:
        text = str(error)
        if any(isinstance(cause, MemoryError) for cause in chain(error)):
            return MEMORY, text[:300]
        first, *list_ = text.strip().split("\n")  # some list what differs below their sentence, one a line
        named = path.name in first or path.stem in first or path.parent.name in first
        return (REFUSED if named and all(line.startswith("  ") for line in list_) else UNCLEAR), text[:300]
    except MemoryError as error:
        return MEMORY, place(error)
    except (Exception, SystemExit) as error:
        kind = MEMORY if any(isinstance(cause, MemoryError) for cause in chain(error)) else TRACEBACK
        return kind, f"{type(error).__name__}: {str(error)[:150]} {place(error)}"
    return VALUE, ""


def place(error: BaseException) -> str:
    """The innermost line of ours, and the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/wotempo/" in frame.filename or "/callbacks/" in frame.filename]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in (frames[-1], *own[-2:][::-1]))


def settled(target, folder: Path) -> tuple[Path, Path]:
    """The valid file of a target with all that lies around it, made once, and where a copy of it is damaged."""
    home = folder / "valid" / re.sub(r"\W+", "_", target.name)
    marker = home / ".file"
    if not marker.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        marker.write_text(str(target.make(home).relative_to(home)))
    return home, Path(marker.read_text())


def judged(target, number: int, folder: Path, seconds: float) -> tuple[str, str]:
    home, name = settled(target, folder)
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(home, work)
    (work / name).write_bytes(damaged(target, number, home / name))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = status("VmRSS")
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind, detail = outcome(target, work / name)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if (grown := status("VmHWM") - before) > GIGABYTE:
        return MEMORY, f"{grown / GIGABYTE:.1f} GB; {kind}: {detail}"
    return kind, detail


def main(folder: Path, module: str, seconds: float) -> None:
    answers = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    targets = {target.name: target for target in import_module(module).TARGETS}
    limit = status("VmSize") + 5 * GIGABYTE  # no machine is to suffer; from one gigabyte on it is a fault anyway
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(BrokenPipeError):
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            name, number = line.rstrip("\n").split("\t")
            kind, detail = judged(targets[name], int(number), folder, seconds)
            print(json.dumps({"kind": kind, "detail": detail}), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
