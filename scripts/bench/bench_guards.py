"""The cost of all acceptance criteria together in a run. ``make bench WHAT=guards``; ``--quick`` shows that it runs.

One real run of ``experiment=convgru_1epoch`` (all criteria, report and recorder, on the town's data). The time in all
their hooks stands against the step without them; once more in processor time, which does not depend on what else the
machine does. The steps of one epoch hold everything that is done only now and then or only at first; ``later`` is the
median over the second half. ``the end`` is what concluding takes: loading the files, a forward pass, the verdict.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from hydra import compose
from lightning.pytorch import seed_everything
from lightning.pytorch.loggers import CSVLogger

from scripts.bench.guard_meter import GuardMeter, Steps
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded
from wotempo.evidence.run_evidence import RunEvidence
from wotempo.navsim import write_bytes
from wotempo.preparation.prepare import build_data, prepare
from wotempo.runs.build import build_callbacks, build_module, build_trainer
from wotempo.runs.out_of_memory import OutOfMemoryPolicy
from wotempo.runs.preemption import StopSignal

GOALS = {"tiny": 0.03, "full": 0.01}
MODELS = {"tiny": "wote_tiny", "full": "wote"}
QUICK = ("profile=micro",)


def silent(what: str, done: int, total: int) -> None:
    """No report of progress."""


def measure(size: str, folder: Path, overrides: list[str]) -> tuple[list[tuple[float, ...]], GuardMeter, str]:
    """Rows of ``Steps``, the hooks, and the verdict."""
    given = ["experiment=convgru_1epoch", f"model={MODELS[size]}", "tracking=off", "trainer.progress_bar=false"]
    with loaded():
        raw = compose("train", overrides=[*given, f"run_dir={folder}", *overrides])
    config = check_config(raw)
    prepared = prepare(config, silent)
    data = build_data(config, prepared, silent)
    data.build_caches()
    data.evidence = RunEvidence(config, prepared, data)
    seed_everything(config.seed, verbose=False)
    module, _ = build_module(config, prepared)
    found, report, _ = build_callbacks(config, folder, {}, dict, StopSignal(), OutOfMemoryPolicy(config, []))
    meter = GuardMeter(found)
    steps = Steps(meter)
    trainer = build_trainer(config, folder, [CSVLogger(folder)], [steps, *found])
    with meter.counting_reads():
        trainer.fit(module, datamodule=data)
    return steps.rows, meter, report.card()


def figures(size: str, rows: list[tuple[float, ...]], meter: GuardMeter) -> dict:
    wall, cpu, hooks, hooks_cpu, reads = (sum(column) for column in zip(*rows, strict=True))
    late = rows[len(rows) // 2 :]
    by_guard: Counter[str] = Counter()
    for (name, _), seconds in meter.cpu.items():
        by_guard[name] += seconds
    end = sum(seconds for (_, hook), seconds in meter.seconds.items() if hook == "on_fit_end")
    return {
        "size": size,
        "steps": len(rows),
        "step_s": median(row[0] - row[2] for row in rows),
        "share": hooks / (wall - hooks),
        "share_cpu": hooks_cpu / (cpu - hooks_cpu),
        "later": median(row[2] / (row[0] - row[2]) for row in late),
        "later_cpu": median(row[3] / (row[1] - row[3]) for row in late),
        "once_cpu_s": hooks_cpu - len(rows) * median(row[3] for row in late),
        "step_cpu_s": median(row[1] - row[3] for row in rows),
        "reads_per_step": reads / len(rows),
        "reads_later": median(row[4] for row in late),
        "end_s": end,
        "by_guard_cpu_s": {name: round(seconds, 3) for name, seconds in by_guard.most_common()},
        "by_hook_cpu_s": {".".join(key): round(seconds, 3) for key, seconds in meter.cpu.most_common(12)},
        "goal": GOALS[size],
    }


def show(line: dict) -> None:
    met = "met" if line["share"] <= line["goal"] else "MISSED"
    print(f"{line['size']}: {line['steps']} steps of {line['step_s']:.3g} s; all criteria together")
    print(
        f"  {line['share']:.2%} of the step time, goal {line['goal']:.0%} {met}; processor time {line['share_cpu']:.2%}"
    )
    print(f"  {line['later']:.2%} later; processor time {line['later_cpu']:.2%}")
    print(f"  beyond that {line['once_cpu_s']:.2f} s of processor time, a step takes {line['step_cpu_s']:.2f} s of it")
    print(f"  {line['reads_per_step']:.2f} tensors read a step, {line['reads_later']:.0f} later")
    print(f"  the end took {line['end_s']:.2f} s")
    for kind in ("by_guard_cpu_s", "by_hook_cpu_s"):
        print("  " + ", ".join(f"{name} {seconds}" for name, seconds in line[kind].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", choices=list(MODELS), default=["tiny", "full"])
    parser.add_argument("--workspace", default="workspace", help="towns, labels and caches, as those of a run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a micro model: the figures mean nothing")
    parser.add_argument("--json", help="also write the figures there")
    parser.add_argument("overrides", nargs="*", help="of the configuration, as in trainer.batch_size=2")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    given = [f"workspace={options.workspace}", *(QUICK if options.quick else ()), *options.overrides]
    lines = []
    for size in ["tiny"] if options.quick else options.sizes:
        with TemporaryDirectory() as folder:
            rows, meter, card = measure(size, Path(folder), given)
        print(card, file=sys.stderr)
        lines.append(figures(size, rows, meter))
        show(lines[-1])
    if options.json:
        write_bytes(Path(options.json), json.dumps(lines, indent=1).encode())


if __name__ == "__main__":
    main()
