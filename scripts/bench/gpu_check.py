"""A check of wotempo on a GPU: results, precisions, memory, speed. Run through scripts/bench/gpu_check.sh.

Synthetic batches at full size: no dataset, no map library. Each part stands alone: one that fails is written down with
its error, and the next begins. The page docs/gpu.md says what the figures mean and where to send them.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import scripts.bench.checkout  # noqa: F401 (before wotempo.configs)
from scripts.bench.gpu_parts import ROWS, Job, guards_cost, push, row_figures, same_as_cpu, trains
from wotempo.planners.config import ModelConfig, sizes

SECONDS = 480
"""After so long no further part is begun."""


def environment(device: torch.device) -> dict[str, Any]:
    """The software, and the device."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "device": str(device)}
    if device.type == "cuda":
        of = torch.cuda.get_device_properties(device)
        found |= {"gpu": of.name, "memory_gb": of.total_memory / 1e9, "capability": f"{of.major}.{of.minor}"}
        found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    return found


def parts(job: Job) -> dict[str, Callable[[], Any]]:
    """Name -> what is done, in this order: what matters most first."""
    found: dict[str, Callable[[], Any]] = {}
    for stage in ("convgru",) if job.rehearsal else ("none", "convgru"):
        found[f"same as CPU, {stage}"] = partial(same_as_cpu, job, stage)
    for precision in job.precisions:
        found[f"trains, {precision}"] = partial(trains, job, precision)
    for precision in job.precisions[: 1 if job.rehearsal else 2]:
        for row in ("packed",) if job.rehearsal else ROWS:
            found[f"{row}, {precision}"] = partial(row_figures, job, row, precision)
    found["push"] = partial(push, job)
    found["guards"] = partial(guards_cost, job)
    return found


def carried_out(job: Job, seconds: float) -> dict[str, Any]:
    """Part -> its figures, or the error that ended it."""
    begun, results = time.perf_counter(), {}
    for name, part in parts(job).items():
        if time.perf_counter() - begun > seconds:
            results[name] = {"error": "no time was left"}
            continue
        start = time.perf_counter()
        try:
            found = part()
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        results[name] = {**found, "seconds": round(time.perf_counter() - start, 2)}
        print(line(name, results[name]), flush=True)
        job.give_back()
    return results


def line(name: str, figures: dict[str, Any]) -> str:
    """One row of the table."""
    if "error" in figures:
        return f"{name:42s} ERROR {figures['error'].splitlines()[0][:100]}"

    def text(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    ok = {True: "ok    ", False: "DIFFERS"}.get(figures.get("ok"), "      ")
    shown = {k: v for k, v in figures.items() if k not in ("ok", "seconds") and not isinstance(v, dict | list)}
    return f"{name:42s} {ok} " + ", ".join(f"{key} {text(value)}" for key, value in shown.items())


def tiny() -> ModelConfig:
    """For a rehearsal: a model of seconds."""
    from official_weights import MICRO

    return replace(MICRO, num_agents=30)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal on a micro model: the figures mean nothing")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="after so long no further part is begun")
    parser.add_argument("--out", default="gpu_check.json")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no GPU here: run this where torch.cuda.is_available(), or rehearse with --device cpu --tiny")
        return 2
    warnings.filterwarnings("ignore", category=UserWarning)
    if options.tiny:
        job = Job(tiny(), device, batch=2, steps=1, rehearsal=True)
    else:
        job = Job(sizes("wote"), device, options.batch, steps=10)
    found = {"environment": environment(device), "batch": job.batch, "rehearsal": job.rehearsal}
    print(json.dumps(found["environment"]), flush=True)
    found["parts"] = carried_out(job, options.seconds)
    Path(options.out).write_text(json.dumps(found, indent=1))
    bad = [name for name, figures in found["parts"].items() if "error" in figures or figures.get("ok") is False]
    print(f"{len(found['parts']) - len(bad)} of {len(found['parts'])} parts as expected; all figures: {options.out}")
    print(f"not as expected: {', '.join(bad)}" if bad else "send it in: docs/gpu.md")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
