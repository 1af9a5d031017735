"""Latency of a push beside the single-frame model: same weights, one process, interleaved. Run through
``make bench WHAT=streaming``; ``--full`` adds the full-size model.

GMAC counts products of matrices and convolutions: a ratio that does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from streams import drive_frames

from scripts.bench.bench_wote import gmac
from wotempo.fusion import build_fusion
from wotempo.planners.config import ModelConfig, sizes
from wotempo.planners.wote.wote import WoTE
from wotempo.streaming.latency import latency, single_frame
from wotempo.streaming.planner import StreamingPlanner

# Of the full size: the tiny model's backbone is small beside any fusion.
LIMIT = {"none": 1.03, "recurrent": 1.03, "bottleneck": 1.03, "ring buffer": 1.10}


STAGES: dict[str, tuple[str, dict]] = {  # label -> stage and options
    "none": ("none", {}),
    "ring buffer": ("convgru", {"num_frames": 4}),
    "recurrent": ("convgru_recurrent", {"num_frames": 4}),
    "bottleneck": ("convgru", {"num_frames": 4, "form": "bottleneck"}),
}


def planner_of(config: ModelConfig, label: str) -> StreamingPlanner:
    torch.manual_seed(0)
    stage, options = STAGES[label]
    fusion = build_fusion(stage, config.bev_channels, config.bev_grid, **options)
    return StreamingPlanner(WoTE(config, torch.randn(config.num_anchors, config.num_poses, 3), fusion).eval())


def measured(row: str, label: str, config: ModelConfig, pushes: int, warmup: int, goal: float | None) -> dict:
    """The figures of one kind of stream, also printed."""
    *frames, last = drive_frames(config, pushes + warmup + 1)
    planner = planner_of(config, label)
    found = latency(planner, frames, warmup)
    push, single = gmac(partial(planner.push, last)), gmac(partial(single_frame, planner.model, last))
    met = "" if goal is None else f" (goal ≤ {goal:.2f}: {'met' if found.paired <= goal else 'MISSED'})"
    print(f"{row}: push {found.push} · single frame {found.single_frame}")
    print(f"  ratio of medians {found.ratio:.3f}, median of paired ratios {found.paired:.3f}{met}", end="")
    print(f", GMAC {push:.2f} / {single:.2f} = {push / single:.3f}", flush=True)
    line = {"push_ms": found.push.p50, "single_ms": found.single_frame.p50, "ratio": found.paired}
    return {"row": row, **line, "gmac": push, "gmac_ratio": push / single, "goal": goal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the full-size model, too")
    parser.add_argument("--only-full", action="store_true")
    parser.add_argument("--pushes", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=4, help="at least the length of the window")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stages", nargs="*", default=list(LIMIT), choices=list(LIMIT))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    configs = {} if options.only_full else {"tiny": sizes("wote_tiny")}
    if options.full or options.only_full:
        configs["full"] = sizes("wote")
    print(f"{options.threads} threads, {options.pushes} pushes after {options.warmup} for warming up")
    for size, config in configs.items():
        for label in options.stages:
            goal = LIMIT[label] if size == "full" else None
            measured(f"{size} {label}", label, config, options.pushes, options.warmup, goal)


if __name__ == "__main__":
    main()
