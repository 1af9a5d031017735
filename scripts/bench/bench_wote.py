"""Time and peak memory of the full-size WoTE: ours beside the plain twin and, with --public, the published code.

One process, interleaved, medians; memory in one process per side. Run through ``make bench WHAT=wote``.
``--public`` takes a Python file with build(), train_forward(model, features, targets), losses(outputs, targets) and
infer(model, features) around a local copy of the published model; nothing of it is in this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import runpy
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import reference_weights
import torch
from plain_wote import plain_of
from random_batches import random_batch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from wotempo.configs import values

from wotempo.batch import Batch
from wotempo.fusion import build_fusion
from wotempo.navsim import write_bytes
from wotempo.planners.config import ModelConfig, sizes
from wotempo.planners.wote.losses import LossWeights, compute_losses
from wotempo.planners.wote.wote import WoTE

SIDES = ("ours", "plain", "public")


def published_form(batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same batch under the published names."""
    features = {
        "camera_feature": batch["camera"].float() / 255,
        "lidar_feature": batch["lidar"].float() / 5,
        "status_feature": batch["status"],
    }
    targets = {
        "trajectory": batch["trajectory"][:, None],
        "sim_reward": batch["sim_reward"][:, None],
        "agent_states": batch["agent_states"],
        "agent_labels": batch["agent_labels"],
        "bev_semantic_map": batch["bev_map"].float(),
        "sampled_trajs_index": batch["sampled_anchor"],
        "fut_bev_semantic_map": batch["future_map"].float(),
    }
    return features, targets


def steps_of(side: str, mode: str, public: str | None) -> tuple[nn.Module, Callable, Callable]:
    """The model, ``train(batch) -> loss`` and ``infer(batch)`` of one side."""
    if side == "public":
        code = SimpleNamespace(**runpy.run_path(public))
        model = code.build()

        def train(batch: Batch) -> Tensor:
            features, targets = published_form(batch)
            terms = code.losses(code.train_forward(model, features, targets), targets)
            return sum(terms.values()) if isinstance(terms, dict) else terms

        def infer(batch: Batch) -> None:
            features, _ = published_form(batch)
            for i in range(len(batch["status"])):  # it takes one sample at a time
                code.infer(model, {key: value[i : i + 1] for key, value in features.items()})

        return model, train, infer
    config = ModelConfig(**{**sizes("wote").to_dict(), "mode": mode})
    torch.manual_seed(0)
    model = WoTE(
        config,
        torch.from_numpy(reference_weights.anchors()),
        build_fusion("none", config.bev_channels, config.bev_grid),
    )
    if side == "plain":
        model = plain_of(model)
    weights = LossWeights(**values("planner/wote")["losses"])
    return model, lambda batch: sum(compute_losses(model(batch), batch, weights).values()), model.plan


def training_step(model: nn.Module, train: Callable, batch: Batch) -> Callable[[], None]:
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)

    def step() -> None:
        model.train()
        optimiser.zero_grad()
        train(batch).backward()
        optimiser.step()

    return step


def inference(model: nn.Module, infer: Callable, batch: Batch) -> Callable[[], None]:
    def step() -> None:
        model.eval()
        with torch.no_grad():
            infer(batch)

    return step


def times(jobs: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every repeat, interleaved."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - start)
    return taken


def seconds(jobs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Medians, interleaved, after one run of each."""
    return {name: median(values[1:]) for name, values in times(jobs, repeats + 1).items()}


def matrix_rate() -> float:
    """GMAC/s of a large float32 product on this machine now."""
    a, b = torch.randn(4096, 1024), torch.randn(1024, 1024)
    return 4.294967296 / seconds({"product": lambda: a @ b}, 7)["product"]


def gmac(job: Callable[[], None]) -> float:
    """Products of matrices and convolutions; torch's fused transformer layer hides its own from the counter."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter:
        job()
    torch.backends.mha.set_fastpath_enabled(fused)
    return counter.get_total_flops() / 2e9


def in_new_process(measure: Callable[..., float], *arguments: Any) -> float:
    """What ``measure`` gives in a process whose memory nothing else has touched."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def resident_mb(field: str) -> float:
    """Of this process: VmRSS now, VmHWM at its peak."""
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024


def peak_mb(side: str, kind: str, size: int, options: argparse.Namespace) -> float:
    """Peak resident memory of this process when it has built the model and done two steps."""
    torch.set_num_threads(options.threads)
    model, train, infer = steps_of(side, options.mode, options.public)
    batch = random_batch(sizes("wote"), size, window=1, whole=True)
    job = training_step(model, train, batch) if kind == "train" else inference(model, infer, batch)
    for _ in range(2):
        job()
    return resident_mb("VmHWM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--public", help="Python file around a local copy of the published model")
    parser.add_argument("--mode", choices=("compat", "fixed"), default="compat")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--train", type=int, nargs="*", default=[2, 4], help="batch sizes")
    parser.add_argument("--infer", type=int, nargs="*", default=[2, 8], help="batch sizes")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", help="also write the figures there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sides = [side for side in SIDES if side != "public" or options.public]
    built = {side: steps_of(side, options.mode, options.public) for side in sides}
    allocator = {k: v for k, v in os.environ.items() if k.startswith(("MALLOC_", "LD_PRELOAD"))}
    print(f"layout {options.mode}, {options.threads} threads, allocator: {allocator or 'as the system has it'}")
    print(f"matrix product: {matrix_rate():.0f} GMAC/s in float32")
    rows = []
    for kind, batches, make in (("train", options.train, training_step), ("infer", options.infer, inference)):
        for size in batches:
            batch = random_batch(sizes("wote"), size, window=1, whole=True)
            jobs = {s: make(m, t if kind == "train" else i, batch) for s, (m, t, i) in built.items()}
            rows += report(kind, size, jobs, sides, options)
    if options.json:
        write_bytes(Path(options.json), json.dumps(rows, indent=1).encode())


def report(
    kind: str, size: int, jobs: dict[str, Callable], sides: list[str], options: argparse.Namespace
) -> list[dict]:
    if kind == "infer":
        jobs = {**jobs, "ours bf16": torch.autocast("cpu", torch.bfloat16)(jobs["ours"])}
    macs = {side: gmac(jobs[side]) for side in sides}
    taken = seconds(jobs, options.repeats)
    rows = []
    for side, value in taken.items():
        row = {"kind": kind, "batch": size, "side": side, "seconds": value, "gmac": macs.get(side)}
        if side in sides and not options.no_memory:
            row["peak_mb"] = in_new_process(peak_mb, side, kind, size, options)
        rows.append(row)
        rate = f"{macs[side]:7.0f} GMAC {macs[side] / value:5.0f}/s" if side in macs else " " * 20
        peak = f"{row['peak_mb']:6.0f} MB" if "peak_mb" in row else ""
        ratio = f"ours is {value / taken['ours']:.2f}x as fast" if side != "ours" else ""
        print(f"{kind} batch {size} {side:10s} {value:7.3f} s {rate} {peak} {ratio}", flush=True)
    return rows


if __name__ == "__main__":
    main()
