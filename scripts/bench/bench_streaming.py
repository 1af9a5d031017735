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


def stages() -> dict[str, tuple[str, dict]]:
    """Label -> stage and options."""
    return {
        "none": ("none", {}),
        "ring buffer": ("convgru", {"num_frames": 4}),
        "recurrent": ("convgru_recurrent", {"num_frames": 4}),
        "bottleneck": ("convgru", {"num_frames": 4, "form": "bottleneck"}),
    }


def planner_of(config: ModelConfig, stage: str, options: dict) -> StreamingPlanner:
    torch.manual_seed(0)
    fusion = build_fusion(stage, config.bev_channels, config.bev_grid, **options)
    return StreamingPlanner(WoTE(config, torch.randn(config.num_anchors, config.num_poses, 3), fusion).eval())


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
    measured = {} if options.only_full else {"tiny": sizes("wote_tiny")}
    if options.full or options.only_full:
        measured["full"] = sizes("wote")
    print(f"{options.threads} threads, {options.pushes} pushes after {options.warmup} for warming up")
    for size, config in measured.items():
        frames = drive_frames(config, options.pushes + options.warmup + 1)
        for label in options.stages:
            planner = planner_of(config, *stages()[label])
            found = latency(planner, frames[:-1], options.warmup)
            goal = f" (goal ≤ {LIMIT[label]:.2f})" if size == "full" else ""
            jobs = partial(planner.push, frames[-1]), partial(single_frame, planner.model, frames[-1])
            work = [gmac(job) for job in jobs]
            print(f"{size} {label}: push {found.push} · single frame {found.single_frame}")
            print(
                f"  ratio of medians {found.ratio:.3f}{goal}, median of paired ratios "
                f"{found.paired:.3f}, GMAC {work[0]:.2f} / {work[1]:.2f} = {work[0] / work[1]:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
