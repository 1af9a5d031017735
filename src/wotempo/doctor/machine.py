"""CPUs and memory that this process may really use, against what the run asks for."""

from __future__ import annotations

from pathlib import Path

from wotempo.data.reader import OPEN_PARTS
from wotempo.data.shared_memory import ENLARGE, SHM, lacking, state_of
from wotempo.doctor.finding import Finding

FILES_OF_A_RUN = 100  # libraries, logs, pipes
FILES_OF_A_WORKER = 60  # two batches ahead of some twenty tensors, and its pipes
WORKER_GB = 1.0  # what a loader worker or a label process takes, rounded up


def _number(path: Path) -> float:
    """Bytes; infinite where there is no such file or no limit ("max")."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return float("inf")


def memory_limit_gb(root: Path = Path("/")) -> float:
    """The least of the machine's memory and the limits of the control groups around this process, versions 1 and 2."""
    base = root / "sys" / "fs" / "cgroup"
    candidates = [base / "memory.max", base / "memory" / "memory.limit_in_bytes"]
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        folder, file = (base, "memory.max") if not controllers else (base / "memory", "memory.limit_in_bytes")
        if controllers in ("", "memory"):
            inside = folder / group.lstrip("/")
            candidates += [place / file for place in (inside, *inside.parents)]
    return min(*map(_number, candidates), _machine_bytes(root)) / 1e9


def _machine_bytes(root: Path) -> float:
    try:
        lines = (root / "proc" / "meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), float("inf"))


def check_cpus(cpus: int, num_workers: int, prepare_workers: int, threads: int) -> Finding:
    found = f"{cpus} CPUs; trainer.num_workers={num_workers}, data.prepare_workers={prepare_workers}, {threads} threads"
    if threads > cpus:
        return Finding("cpus", "warn", found, f"trainer.threads={cpus}, or OMP_NUM_THREADS={cpus}")
    if num_workers > cpus:
        return Finding("cpus", "warn", found, f"trainer.num_workers={max(cpus - 1, 0)}, or ask for more CPUs")
    if prepare_workers > cpus:
        return Finding("cpus", "warn", found, f"data.prepare_workers={cpus}, or ask for more CPUs")
    return Finding("cpus", "ok", found)


def check_shared_memory(batch: int, num_workers: int, folder: Path = SHM) -> Finding:
    """``batch``: bytes of one, which workers hand over in shared memory."""
    if num_workers == 0:
        return Finding("shared memory", "ok", f"{state_of(folder)}; no worker needs it")
    if (reason := lacking(batch, num_workers, folder)) is not None:
        return Finding("shared memory", "fail", reason, f"{ENLARGE}, or trainer.num_workers=0")
    return Finding("shared memory", "ok", f"{state_of(folder)}; batches of {batch / 1e6:.1f} MB")


def check_open_files(limit: float, num_workers: int) -> Finding:
    """Each worker keeps some files of the caches open, and a descriptor a tensor that is on its way."""
    needed = OPEN_PARTS + FILES_OF_A_RUN + FILES_OF_A_WORKER * num_workers
    found = f"{limit:.0f} files may be open (ulimit -n), up to {needed} are needed"
    if limit < needed:
        return Finding("open files", "fail", found, "ulimit -n 65536")
    return Finding("open files", "ok", found)


def check_memory(limit_gb: float, num_workers: int, accelerator: str, ceiling_gb: float) -> Finding:
    """On a CPU the memory criterion's ceiling can only speak below the limit at which the kernel ends the run."""
    found = f"{limit_gb:.1f} GB may be used"
    if limit_gb < (num_workers + 2) * WORKER_GB:
        fix = f"trainer.num_workers={max(int(limit_gb / WORKER_GB) - 2, 0)}, or ask for more memory"
        return Finding("memory", "fail", f"{found}, too little for {num_workers} workers and the run", fix)
    if accelerator == "cpu" and limit_gb < ceiling_gb:
        found += f", less than the ceiling of {ceiling_gb:g} GB: the run would be killed before `memory` fails"
        return Finding("memory", "warn", found, f"acceptance.memory.ceiling_gb={0.9 * limit_gb:.3g}")
    return Finding("memory", "ok", found)
