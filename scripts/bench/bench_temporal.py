"""The cost of four frames beside one: training steps and pushes, in one process, interleaved. Run through
``make bench WHAT=temporal``; ``--quick`` shows on a micro model that everything runs.

A step is forward, backward and AdamW. Ratios are medians over rounds of a row's time by that of ``none`` in the same
round. GMAC and saved megabytes (what the forward pass keeps for the backward one, without weights) do not depend on
what else the machine does. Peak: resident growth of a process of its own, from before the model is built, over two
steps.
``--official`` takes the file that ``bench_wote.py --public`` takes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from official_weights import MICRO

from scripts.bench.bench_streaming import LIMIT, measured
from scripts.bench.bench_wote import gmac, in_new_process, times
from scripts.bench.temporal_rows import MEMORY, PUBLIC, Row, Trainer, full_rows, peak_mb, stage_rows
from wotempo.navsim import write_bytes
from wotempo.planners.config import sizes

SIZES = {"full": sizes("wote"), "tiny": sizes("wote_tiny"), "micro": MICRO}


def rows_of(size: str, family: str, options: argparse.Namespace) -> list[Row]:
    rows = stage_rows() if family == "stages" else full_rows(options.batch)
    if options.official and size == "full":
        rows.append(Row(PUBLIC, PUBLIC))
    unknown = set(options.only or ()) - {row.name for row in rows}
    if unknown and family == "rows":
        sys.exit(f"no row {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in rows)}")
    return [row for row in rows if row.name == "none" or not options.only or row.name in options.only]


def train(size: str, family: str, options: argparse.Namespace) -> list[dict]:
    trainer, rows = Trainer(SIZES[size], options.batch, options.official), rows_of(size, family, options)
    print(f"\ntraining, {size}, batch {options.batch}, {options.repeats} rounds")
    jobs = {row.name: trainer.jobs(row) for row in rows}
    found = {}
    for row in rows:  # also warms up
        step, saved = jobs[row.name]
        found[row.name] = {"gmac": gmac(step), "saved_mb": saved()}
        print(f"{row.name}: {found[row.name]}", file=sys.stderr, flush=True)
    taken = times({name: step for name, (step, _) in jobs.items()}, options.repeats)
    single, lines = taken["none"], []
    for row in rows:
        line = {"size": size, "row": row.name, "frames_per_sample": len(trainer.data(row)["camera"]) / options.batch}
        line |= {"seconds": median(taken[row.name]), **found[row.name], "goal": row.goal}
        line["ratio"] = median(a / b for a, b in zip(taken[row.name], single, strict=True))
        lines.append(line)
    if not options.no_memory and family == "rows":
        for row, line in zip(rows, lines, strict=True):
            whole = (SIZES[size], options.batch, options.official, row, options.threads)
            line["peak_mb"] = in_new_process(peak_mb, *whole)
    for line in lines:
        for key in ("gmac", "saved_mb", "peak_mb"):
            if key in line:
                line[f"{key}_ratio"] = line[key] / lines[0][key]
    show(lines)
    return lines


def show(lines: list[dict]) -> None:
    width = max(len(line["row"]) for line in lines)
    print(f"{'':{width}} frames      s  ratio   GMAC  ratio  saved MB  ratio  peak MB  ratio  goal")
    for line in lines:
        peak = f"{line['peak_mb']:8.0f} {line['peak_mb_ratio']:6.2f}" if "peak_mb" in line else " " * 15
        print(
            f"{line['row']:{width}} {line['frames_per_sample']:6.3f} {line['seconds']:6.2f} {line['ratio']:6.2f} "
            f"{line['gmac']:6.0f} {line['gmac_ratio']:6.2f} {line['saved_mb']:9.0f} {line['saved_mb_ratio']:6.2f} "
            f"{peak}  {verdict(line)}",
            flush=True,
        )
    public = [line["seconds"] for line in lines if line["row"] == PUBLIC]
    for line in lines if public else ():
        if line["goal"]:
            print(f"{line['row']}: {line['seconds'] / public[0]:.2f} of the public code's single-frame step (goal < 1)")


def verdict(line: dict) -> str:
    """Of time, and of memory where that was measured."""
    if line["goal"] is None:
        return ""
    parts = [f"time ≤ {line['goal']:.2f} {'met' if line['ratio'] <= line['goal'] else 'MISSED'}"]
    if "peak_mb_ratio" in line:
        parts.append(f"memory ≤ {MEMORY:.2f} {'met' if line['peak_mb_ratio'] <= MEMORY else 'MISSED'}")
    return ", ".join(parts)


def stream(size: str, options: argparse.Namespace) -> list[dict]:
    config = SIZES[size]
    print(f"\nstreaming, {size}, {options.pushes} pushes, against the same weights without fusion")
    streams = [(label, label, config, limit) for label, limit in LIMIT.items()]
    streams.append(("ring buffer, LiDAR-only", "ring buffer", replace(config, history_sensors="lidar"), None))
    return [
        {"size": size, **measured(f"push, {name}", label, of, options.pushes, 4, limit)}
        for name, label, of, limit in streams
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8, help="2 or more")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", nargs="*", default=["stages", "rows", "streams"])
    parser.add_argument("--only", nargs="*", help="of the rows, none and these: a step of all takes 15 GB at batch 8")
    parser.add_argument("--official", help="Python file around a local copy of the published model")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a micro model: the figures mean nothing")
    parser.add_argument("--json", help="also write the figures there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tiny, full = ("micro", "micro") if options.quick else ("tiny", "full")
    lines: list[dict] = []
    if "stages" in options.parts:
        lines += train(tiny, "stages", options)
    if "rows" in options.parts:
        lines += train(full, "rows", options)
    if "streams" in options.parts:
        lines += stream(full, options)
    if options.json:
        write_bytes(Path(options.json), json.dumps(lines, indent=1).encode())


if __name__ == "__main__":
    main()
