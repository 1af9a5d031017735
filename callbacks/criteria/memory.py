"""``memory``: peak memory stays under a ceiling."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy, Status, share
from callbacks.base.progress import remaining

GIGABYTE = 1e9
PROC = Path("/proc")
CHANGED = 0.1
"""Of the resident pages: so much more or less, and the proportional size is asked anew."""
FORECAST = 6
"""Samples that a forecast needs."""
SHOWN = 200
"""About so many samples of this attempt, at most, are kept in the verdict: for a curve."""
log = logging.getLogger(__name__)


@dataclass(eq=False)
class MemoryGuard(Guard):
    """The peak counted from the start of the run, in GB (10^9 bytes), of the worst rank.

    CUDA: the peak of *reserved* bytes (what an out-of-memory error is about), counted by the allocator itself.
    CPU: the proportional set size of this process and all its descendants (data-loading workers; shared pages count
    once), sampled; between two samples the kernel's own peak of each process is added (its high-water mark, which is
    set back after each look), as if one process at a time had been at it. Without /proc: the peak resident size since
    process start.

    Two warnings go to the log while it lasts, and into the verdict's details; they do not count: the peak passes
    ``warn_at`` of the ceiling; or the peak rises so steadily that, going on like that, it would pass the ceiling before
    the last batch (a forecast from ``FORECAST`` samples on). It cannot see use by other processes on the same device,
    the CUDA context, or fragmentation that only a larger batch would meet.

    Args:
        ceiling_gb: limit in GB.
        warn_at: share of the ceiling.
        every: batches between two samples.
        read_bytes: replaces the source of the number: device -> bytes, the peak so far or the present use.
    """

    name = "memory"
    number = 3
    exit_code = 11
    unit = "GB"
    sense = "≤"
    hint = "Lower the batch size, use bf16 or checkpoint activations; on CPU use fewer workers."

    ceiling_gb: float = 40.0
    every: int = 50
    policy: Policy = "fail"
    warn_at: float = 0.9
    read_bytes: Callable[[torch.device], float] | None = None

    def __post_init__(self) -> None:
        super().__init__(self.policy)
        self.limit = self.ceiling_gb
        self._read = self.read_bytes or UsedBytes()
        self.memory = {"peak_bytes": 0.0, "warnings": []}
        self._samples: list[tuple[int, float]] = []  # (batch, peak in GB) of this attempt
        self._told: set[str] = set()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.device = trainer.strategy.root_device  # the model is back on the CPU when the run is judged
        self._samples, self._told = [], set()
        if isinstance(self._read, UsedBytes):
            self._read.begin(self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % self.every == 0:
            self._sample(trainer)
            self._look_ahead(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._sample(trainer)

    def _sample(self, trainer: Trainer) -> None:
        self.memory["peak_bytes"] = max(self.memory["peak_bytes"], float(self._read(self.device)))
        peak = self.memory["peak_bytes"] / GIGABYTE
        over = f"peak memory {peak:.2f} GB is over the ceiling of {self.limit:g} GB"
        self.stop_if(trainer, peak > self.limit, over, round(peak, 3))

    def _look_ahead(self, trainer: Trainer) -> None:
        peak = self.memory["peak_bytes"] / GIGABYTE
        self._samples.append((trainer.fit_loop.epoch_loop.total_batch_idx, peak))
        if peak > self.warn_at * self.limit:
            self._warn("near", f"peak memory {peak:.2f} GB is near the ceiling of {self.limit:g} GB")
        left, _ = remaining(trainer)
        growth = steady_growth(self._samples)
        if growth * left + peak > self.limit:
            end = f"peak memory grows by {1000 * growth:.3g} MB per batch: {growth * left + peak:.1f} GB at the end"
            self._warn("forecast", f"{end}, the ceiling is {self.limit:g} GB")

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self.memory["warnings"].append(text)
            log.warning(text)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        peak = max(self.memory["peak_bytes"], float(self._read(self.device)))
        ranks = [round(value / GIGABYTE, 3) for value in share(trainer, peak)]
        details = {"peak_gb_by_rank": ranks, "device": str(self.device), **device_details(self.device)}
        details["warnings"] = list(self.memory["warnings"])
        evenly_spread = self._samples[:: len(self._samples) // SHOWN + 1]
        details["peak_gb_by_batch"] = [[batch, round(gb, 3)] for batch, gb in evenly_spread]
        status: Status = "pass" if max(ranks) <= self.limit else "fail"
        text = f"peak {max(ranks):.2f} GB of {self.limit:g} GB on {self.device.type}"
        self.record(status, text, max(ranks), **details)

    def attribute(self, exception: BaseException) -> bool:
        if not is_out_of_memory(exception):
            return False
        first_line = next(iter(str(exception).splitlines()), type(exception).__name__)
        self.record("fail", f"out of memory: {first_line}")
        return True


def is_out_of_memory(exception: BaseException) -> bool:
    """Of a device, or of the host: torch's CPU allocator raises a plain RuntimeError."""
    host = isinstance(exception, RuntimeError) and "can't allocate memory" in str(exception)
    return isinstance(exception, torch.OutOfMemoryError | MemoryError) or host


def steady_growth(samples: Sequence[tuple[int, float]]) -> float:
    """GB per batch that the peak certainly gains: the lower quartile of all slopes among the latest samples. 0 with too
    few samples, and where a quarter of the slopes is flat (caches that fill up, single jumps)."""
    if len(samples) < FORECAST:
        return 0.0
    latest = samples[-4 * FORECAST :]
    latest = latest[len(latest) // 4 :]  # the first steps allocate what stays
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(latest, 2) if b[0] > a[0])
    return slopes[len(slopes) // 4] if slopes else 0.0


def spike_bytes(family: Sequence[int]) -> int:
    """By how much a process of the family was larger than it is now, since the last call: the largest of them. The
    kernel keeps the high-water mark; where it may not be set back (another user's process) it is left out."""
    found = 0
    for member in family:
        marks = dict(line.split(":", 1) for line in _text(member, "status").splitlines() if line.startswith("Vm"))
        if "VmHWM" in marks and "VmRSS" in marks and _set_back(member):
            found = max(found, 1024 * (int(marks["VmHWM"].split()[0]) - int(marks["VmRSS"].split()[0])))
    return found


def _set_back(pid: int) -> bool:
    try:
        (PROC / str(pid) / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


class UsedBytes:
    """``used_bytes``, at the price of a look at the resident pages where those are about what they were. To add up the
    proportional size of a process the kernel walks through all its pages, a tenth of a second for some GB. A process
    without descendants shares what it shared at the start (libraries), whatever it takes later."""

    def __init__(self) -> None:
        self._exact, self._resident = 0.0, 0
        self._family: list[int] = []

    def begin(self, device: torch.device) -> None:
        """What was used before does not count as a spike."""
        self(device)

    def __call__(self, device: torch.device) -> float:
        counted = device.type == "cuda" or not PROC.exists()  # by the allocator, or by the system as a peak
        family = [] if counted else _descendants(os.getpid())
        spike = spike_bytes(family)
        resident = sum(map(_resident_bytes, family))
        changed = len(family) > 1 and abs(resident - self._resident) > CHANGED * self._resident
        if family != self._family or changed or not family:
            self._exact, self._resident, self._family = used_bytes(device), resident, family
        return self._exact + resident - self._resident + spike


def used_bytes(device: torch.device) -> float:
    """Peak reserved bytes of a CUDA device; present use of the process tree elsewhere."""
    if device.type == "cuda":
        return torch.cuda.memory_stats(device)["reserved_bytes.all.peak"]
    return tree_bytes(os.getpid())


def device_details(device: torch.device) -> dict[str, Any]:
    """Further figures of the allocator, for the verdict."""
    if device.type != "cuda":
        return {}
    stats = torch.cuda.memory_stats(device)
    return {
        "peak_allocated_gb": round(stats["allocated_bytes.all.peak"] / GIGABYTE, 3),
        "allocation_retries": stats["num_alloc_retries"],
    }


def tree_bytes(pid: int) -> float:
    """Proportional set size of a process and its descendants in bytes."""
    if not (PROC / str(pid) / "smaps_rollup").exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
        return peak if sys.platform == "darwin" else peak * 1024
    return float(sum(_proportional_bytes(member) for member in _descendants(pid)))


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for process in (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()):
        if stat := _text(process, "stat"):  # "pid (name) state ppid …"; the name may hold spaces and brackets
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(process)
    family = [pid]
    for member in family:
        family.extend(children.get(member, []))
    return family


def _resident_bytes(pid: int) -> int:
    statm = _text(pid, "statm")
    return int(statm.split()[1]) * resource.getpagesize() if statm else 0


def _proportional_bytes(pid: int) -> int:
    lines = _text(pid, "smaps_rollup").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _text(pid: int, name: str) -> str:
    """The content of a file about a process; nothing where it ended meanwhile, or is not ours to look at."""
    try:
        return (PROC / str(pid) / name).read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
