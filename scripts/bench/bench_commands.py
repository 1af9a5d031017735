"""The cost of commands as the data set grows: processor seconds and memory of all their processes. ``make bench
WHAT=commands``.

``--logs 10,20,40 --boxes 63``: logs of metadata as large as navtrain's (``scale_logs``) with a few tokens each, sensor
files linked from a generated town. ``prepare`` is the first preparation, with labels and caches; the others follow it.
``--quick`` shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from scripts.bench.bench_scale import overrides
from scripts.bench.scale_logs import ScaleLogs, link_sensors, make_town, write_lists, write_logs
from scripts.bench.watched import watched

TOKENS = 2  # of a log: a fortieth of navtrain's, since labels and frames cost the same for each
ANCHORS = 16
COMMANDS = ("prepare", "plan-data", "doctor", "labels", "evaluate")
KEYS = ("cpu_s", "wall_s", "peak_mb", "largest_mb")


def words(command: str, root: Path, workspace: Path, count: int, workers: int) -> list[str]:
    """Its command line, over the first ``count`` logs."""
    own = ("run_dir=", "data.labels=", "model.num_anchors=", "data.test.scene_filter=")
    ours = [word for word in overrides(root, workspace, count, workers) if not word.startswith(own)]
    ours += [f"data.test.scene_filter={root / f'navtrain-{count}.yaml'}"]
    data = [word for word in ours if word.startswith(("data=", "data.", "workspace="))]
    folder = f"hydra.run.dir={workspace / command}"
    if command == "labels":
        more = (
            f"output={workspace / 'labels-alone'}",
            f"num_anchors={ANCHORS}",
            "progress_bar=false",
            "overwrite=true",
        )
        return [*data, *more, f"workers={workers}", folder]
    if command == "evaluate":
        left = [word for word in data if not word.startswith("data.anchors")]
        return [*left, "baselines=[constant_velocity]", "tracking=off", "progress_bar=false", folder]
    return [*ours, f"model.num_anchors={ANCHORS}"]


def measure(
    root: Path, town: Path, made: ScaleLogs, counts: list[int], tokens: int, commands: list[str], workers: int
) -> list:
    """A row per number of logs and command, printed as it is there."""
    rows = []
    for count in counts:
        write_lists(root, made, count, tokens)
        link_sensors(root, town, made, count, tokens)
        workspace = root / f"commands-{count}"
        anchors = np.zeros((ANCHORS, 8, 3), np.float32)  # straight on, at 0 to 15 m/s
        anchors[..., 0] = np.outer(np.linspace(0, 15, ANCHORS), np.arange(1, 9) / 2)
        workspace.mkdir(exist_ok=True)
        np.save(workspace / "anchors.npy", anchors)
        for command in commands:
            line = [sys.executable, "-m", "wotempo", command, *words(command, root, workspace, count, workers)]
            cost = watched(line, {**os.environ, "OMP_NUM_THREADS": "1"})
            if cost.code not in (0, 1 if command == "doctor" else 0) or "fault of wotempo" in cost.output:
                raise SystemExit(f"{' '.join(line)}\n{cost.output}")
            row: dict[str, Any] = {"logs": count, "command": command, **{key: getattr(cost, key) for key in KEYS}}
            rows.append(row)
            figures = "  ".join(f"{key} {row[key]:8.1f}" for key in KEYS)
            print(f"{count:5d} logs  {command:10s} {figures}", flush=True)
    return rows


def slopes(rows: list[dict[str, Any]], commands: list[str]) -> dict[str, dict[str, float]]:
    """By command what one more log costs."""
    found = {}
    for command in commands:
        own = [row for row in rows if row["command"] == command]
        if len(own) > 1:
            logs = [row["logs"] for row in own]
            found[command] = {key: float(np.polyfit(logs, [row[key] for row in own], 1)[0]) for key in KEYS}
            figures = "  ".join(f"{key} {value:8.3f}" for key, value in found[command].items())
            print(f"one more log  {command:10s} {figures}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--town", type=Path, help="a generated town; made in the folder where none is given")
    parser.add_argument("--folder", type=Path, help="where logs and caches are kept; a temporary one by default")
    parser.add_argument("--logs", default="10,20,40")
    parser.add_argument("--boxes", default="63", help="in a frame; several: 63,150")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="scenes of a log")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one log")
    parser.add_argument("--report", type=Path, help="a file for the figures, as JSON, added to those in it")
    parser.add_argument("--plot", type=Path, help="a PNG of the memory of the largest process, in the file of --report")
    options = parser.parse_args()
    counts = [1] if options.quick else [int(count) for count in options.logs.split(",") if count]
    commands = options.commands.split(",")
    known = json.loads(options.report.read_text()) if options.report and options.report.exists() else []
    with TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        for boxes in [int(boxes) for boxes in options.boxes.split(",")] if counts else ():
            root = folder / f"boxes-{boxes}"
            root.mkdir(parents=True, exist_ok=True)
            town = options.town or make_town(folder / "town", options.workers)
            made = write_logs(root, town, max(counts), boxes)
            print(f"{max(counts)} logs of {made.log_bytes / 1e6:.1f} MB, {boxes} boxes a frame", flush=True)
            rows = measure(root, town, made, counts, options.tokens, commands, options.workers)
            slopes(rows, commands)
            known += [{"boxes": boxes, **row} for row in rows]
    if options.report:
        options.report.write_text(json.dumps(known, indent=1))
    if options.plot:
        draw(known, options.plot)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Memory of the largest process over the number of logs, a line per command; dashed: the most boxes."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.4), dpi=110)
    lines: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for row in rows:
        lines.setdefault((row["command"], row["boxes"]), []).append((row["logs"], row["largest_mb"] / 1000))
    most, commands = max(boxes for _, boxes in lines), list(dict.fromkeys(command for command, _ in lines))
    for (command, boxes), points in lines.items():
        style = "--" if boxes == most else "-"
        colour, label = f"C{commands.index(command)}", f"{command}, {boxes} boxes"
        axes.plot(*zip(*sorted(points), strict=True), style, color=colour, marker="o", ms=3, label=label)
    axes.set(xlabel="logs", ylabel="GB, largest process", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, ncols=2)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
