"""The cost of a start at navtrain's size: processor seconds, memory, looks at files. ``make bench WHAT=scale``.

Logs of metadata only, as large as navtrain's, are written and indexed; caches and labels are filled with zeros that
take no room. Each row is a process of its own. ``--logs 10,20,40 --boxes 63`` fits the growth with the number of logs,
``--logs 1310 --boxes 2`` is the full number of them; ``--quick`` shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

NAVTRAIN = 1310
GOALS = {"cpu_s": 30.0, "peak_mb": 2048.0, "stats": 10_000, "logs_read": 5}  # of a second start
ANCHORS = 256


class Meter:
    """Processor seconds (children too), memory and calls of a stage after the other, of this process."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}
        self.calls = {"stats": 0, "logs_read": 0}
        self._last = self._now()
        real = os.stat

        def counted(*arguments: Any, **options: Any) -> os.stat_result:
            self.calls["stats"] += 1
            return real(*arguments, **options)

        os.stat = counted  # type: ignore[assignment]

    def count_reads(self, module: Any) -> None:
        real = module.read_log

        def counted(*arguments: Any) -> Any:
            self.calls["logs_read"] += 1
            return real(*arguments)

        module.read_log = counted

    def _now(self) -> dict[str, float]:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "cpu_s": sum(one.ru_utime + one.ru_stime for one in used),
            "wall_s": time.monotonic(),
            **{name: float(count) for name, count in self.calls.items()},
        }

    def stage(self, name: str) -> None:
        """What was done since the last one."""
        now = self._now()
        row = {key: now[key] - self._last[key] for key in now}
        own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        self.rows[name] = {**row, "peak_mb": own / 1024, "peak_of_a_worker_mb": others / 1024}
        self._last = now


def overrides(root: Path, workspace: Path, count: int, workers: int) -> list[str]:
    """Of a training run on the first ``count`` logs."""
    splits = [
        f"data.{split}.{key}={value}"
        for split in ("train", "val")
        for key, value in (
            ("split", "trainval"),
            ("scene_filter", root / f"navtrain-{count}.yaml"),
            ("logs", root / f"split-{count}.yaml"),
        )
    ]
    return [
        *("experiment=convgru_1epoch", "data=navsim", "model=wote_tiny", "tracking=off", "trainer.progress_bar=false"),
        *(f"data.root={root}", f"data.maps={root / 'maps'}", *splits, "data.full_history_only=true"),
        *(f"data.anchors={workspace / 'anchors.npy'}", f"model.num_anchors={ANCHORS}", f"workspace={workspace}"),
        *(f"data.labels={workspace / 'labels'}", f"data.prepare_workers={workers}", f"run_dir={workspace / 'run'}"),
        *("data.test.split=trainval", "data.test.scene_filter=null", "data.test.logs=null", "trainer.num_workers=0"),
    ]


def probe(root: Path, workspace: Path, count: int, workers: int, fill: bool) -> dict[str, Any]:
    """``fill``: a first start, which indexes the logs; labels and caches are then filled with zeros."""
    meter = Meter()
    from types import SimpleNamespace

    from hydra import compose, initialize_config_module

    import wotempo.experiment.run
    from scripts.bench.scale_logs import fill_caches
    from wotempo.config.checks import check_config
    from wotempo.data.target_cache import scenes_by_log
    from wotempo.data.whole import write_note
    from wotempo.datasets import dataset_of, find_split
    from wotempo.evidence.run_evidence import RunEvidence
    from wotempo.navsim import fingerprint, read_anchors
    from wotempo.navsim.index import digest, stored
    from wotempo.navsim.scores import write_packed_table
    from wotempo.pdm.score import SCORER_VERSION
    from wotempo.preparation.prepare import Prepared, build_data, prepare
    from wotempo.runs.identity import identity_of

    assert wotempo.experiment.run
    meter.count_reads(digest)
    meter.count_reads(stored)
    with initialize_config_module("wotempo.configs", version_base="1.3"):
        config = check_config(compose("train", overrides=overrides(root, workspace, count, workers)))
    meter.stage("import")

    def silent(what: str, done: int, total: int) -> None:
        """No report of progress."""

    if fill:
        dataset = dataset_of(config.data, config.workspace)
        paths = dataset.ready(silent)
        scenes = {split: find_split(dataset, paths, split, silent).scenes for split in ("train", "val")}
        meter.stage("index")
        anchors = read_anchors(workspace / "anchors.npy")
        every = [scene.token for members in scenes.values() for scene in members]
        flags = np.random.default_rng(0).choice(np.array([0, 0b11110], np.uint8), (len(every), ANCHORS))
        progress = np.full((len(every), ANCHORS), 0.5, np.float16)
        write_packed_table(workspace / "labels", every, flags, progress, fingerprint(anchors), SCORER_VERSION)
        data = build_data(config, Prepared(paths, scenes, anchors, workspace / "labels", "", ""), silent)
        logs = scenes_by_log(scene for members in scenes.values() for scene in members)
        fill_caches(data.frames, data.targets, list(logs.values()), data.needs)
        note = data.caches.note(scenes)
        assert note is not None
        write_note(note, data.caches.stores, logs)
        meter.stage("zeros")
        return {"rows": meter.rows, "scenes": len(every)}
    prepared = prepare(config, silent)
    meter.stage("prepare")
    data = build_data(config, prepared, silent)
    reports = data.build_caches()
    meter.stage("caches")
    identity_of(config, prepared, {})
    meter.stage("identity")
    data.evidence = RunEvidence(config, prepared, data)
    data.setup("fit")
    meter.stage("windows")
    evidence, labels = data.evidence, config.acceptance["labels"]
    evidence.splits()
    meter.stage("check: splits")
    evidence.targets(labels.get("scenes", 20))
    meter.stage("check: targets")
    data.trainer = SimpleNamespace(world_size=1, global_rank=0)  # type: ignore[assignment]
    loader = iter(data.train_dataloader())
    next(loader)
    meter.stage("first batch")
    scenes = {split: len(members) for split, members in prepared.scenes.items()}
    logs = len(scenes_by_log(s for members in prepared.scenes.values() for s in members))
    built = {kind: of.built for kind, of in reports.items()}
    return {"rows": meter.rows, "scenes": scenes, "logs": logs, "built": built}


def _in_a_process(arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "scripts.bench.bench_scale", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _total(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    summed = {key: sum(row[key] for row in rows.values()) for key in ("cpu_s", "wall_s", "stats", "logs_read")}
    return {**summed, "peak_mb": max(row["peak_mb"] for row in rows.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--town", type=Path, help="a generated town; made in the folder where none is given")
    parser.add_argument("--folder", type=Path, help="where logs and caches are kept; a temporary one by default")
    parser.add_argument("--logs", default="10,20,40")
    parser.add_argument("--boxes", type=int, default=63)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two logs")
    parser.add_argument("--report", type=Path, help="a file for the figures, as JSON")
    parser.add_argument("--probe", choices=("first", "second"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = [2, 3] if options.quick else [int(count) for count in options.logs.split(",")]
    if options.probe:
        arguments = (options.folder, options.folder / f"workspace-{counts[0]}", counts[0], options.workers)
        print(json.dumps(probe(*arguments, options.probe == "first")))
        return
    with TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        report = measure(folder, options.town, counts, options.boxes, options.workers)
    if options.report:
        options.report.write_text(json.dumps(report, indent=1))


def measure(folder: Path, town: Path | None, counts: list[int], boxes: int, workers: int) -> dict[str, Any]:
    from scripts.bench.scale_logs import make_town, write_lists, write_logs
    from wotempo.navsim import write_anchors

    made = write_logs(folder, town or make_town(folder / "town", workers), max(counts), boxes)
    print(f"{max(counts)} logs of {made.log_bytes / 1e6:.1f} MB, {boxes} boxes a frame", flush=True)
    found = []
    for count in counts:
        write_lists(folder, made, count)
        anchors = np.cumsum(np.random.default_rng(0).uniform(0, 3, (ANCHORS, 8, 3)), 1).astype(np.float32)
        write_anchors(folder / f"workspace-{count}" / "anchors.npy", anchors)
        (folder / f"workspace-{count}" / "labels").mkdir(exist_ok=True)
        given = ["--folder", str(folder), "--logs", str(count), "--workers", str(workers)]
        first, second = (_in_a_process([*given, "--probe", which]) for which in ("first", "second"))
        found.append({"logs": count, "first": first, "second": second})
        for name, row in {**first["rows"], **second["rows"], "second start in all": _total(second["rows"])}.items():
            figures = "  ".join(f"{key} {value:.1f}" for key, value in row.items())
            print(f"{count:5d} logs  {name:20s}  {figures}", flush=True)
    if len(found) > 1:
        _extrapolate(found)
    return {"boxes": boxes, "log_bytes": made.log_bytes, "found": found}


def _extrapolate(found: list[dict[str, Any]]) -> None:
    """A line through the figures of the second start, at navtrain's number of logs. Imports do not depend on it: their
    CPU, which scatters by more than ten logs cost, counts with its median."""
    logs = [row["logs"] for row in found]
    second = [row["second"]["rows"] for row in found]
    imports = [rows["import"]["cpu_s"] for rows in second]
    for key, goal in GOALS.items():
        totals = [_total(rows)[key] for rows in second]
        if key == "cpu_s":
            totals = [total - one + median(imports) for total, one in zip(totals, imports, strict=True)]
        slope, start = np.polyfit(logs, totals, 1)
        print(f"at {NAVTRAIN} logs: {key} {start + slope * NAVTRAIN:.1f} ({slope:.3f} a log; goal {goal:g})")


if __name__ == "__main__":
    main()
