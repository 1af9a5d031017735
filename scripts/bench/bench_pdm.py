"""CPU time of the PDM score: ours beside the plain twin of the tests and, with --official, a local copy of NAVSIM v1.1.

One process, one thread, scene by scene in turn; medians. Run through ``make bench WHAT=pdm``. Without ``--data`` it
takes the three scenes in tests/golden. ``--official`` takes a Python file with open_dataset(root, split, maps),
prepare(dataset, token) (metric caching without the file) and score(cache, poses) -> sub-scores by the names of
SubScores around that copy; nothing of it is in this repository.
"""

from __future__ import annotations

import argparse
import runpy
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
from pdm_builders import golden_scene
from plain_score import plain_score, plain_simulate
from threadpoolctl import threadpool_limits

from wotempo.datasets.scenes import spread
from wotempo.maps import read_map
from wotempo.navsim import SceneFilter, find_scenes
from wotempo.navsim.logs import read_log
from wotempo.pdm.agents import human_poses
from wotempo.pdm.context import SceneContext
from wotempo.pdm.objects import Objects
from wotempo.pdm.score import score_trajectories

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
SUB_SCORES = ("nc", "dac", "ep", "ttc", "comfort", "ddc", "score")


def proposals(scenes, count: int) -> np.ndarray:
    """(count, 8, 3): human futures of the scenes, at random stretched and bent."""
    rng = np.random.default_rng(0)
    driven = np.stack([human_poses(scene) for scene in scenes])[rng.integers(0, len(scenes), count)]
    angle = rng.normal(0, 0.03, (count, 1)) * np.arange(1, 9)
    x, y = (driven[..., :2] * rng.uniform(0.3, 1.5, (count, 1, 1))).transpose(2, 0, 1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack((cos * x - sin * y, sin * x + cos * y, driven[..., 2] + angle), -1)


def cpu_seconds(work):
    """What ``work`` gives, and the CPU seconds it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def ours(scene, maps: Path, poses: np.ndarray):
    context, build = cpu_seconds(lambda: SceneContext.build(scene, read_map(maps, scene.current.map_location)))
    scores, judge = cpu_seconds(lambda: score_trajectories(context, poses))
    return context, scores, (build, judge)


def compare(scenes, maps: Path, poses: np.ndarray, plain: bool, official) -> None:
    times: dict[str, list[tuple[float, float]]] = {}
    differ = dict.fromkeys(SUB_SCORES, 0)
    module, dataset = official or (None, None)
    for scene in scenes:
        context, scores, spent = ours(scene, maps, poses)
        times.setdefault("ours", []).append(spent)
        if plain:
            _, spent_plain = cpu_seconds(lambda c=context: plain_score(c, plain_simulate(c, poses)))
            times.setdefault("plain twin", []).append((spent[0], spent_plain))
        if module:
            cache, caching = cpu_seconds(lambda s=scene: module.prepare(dataset, s.token))
            theirs, scoring = cpu_seconds(lambda c=cache: module.score(c, poses))
            times.setdefault("official", []).append((caching, scoring))
            for name in SUB_SCORES:
                differ[name] += int((np.abs(getattr(scores, name) - theirs[name]) > 1e-6).sum())
    print(f"\n{len(scenes)} scenes × {len(poses)} proposals, one thread, CPU ms per scene (median), ratio to ours")
    mine = np.array(times["ours"])
    for name, spent in times.items():
        table = np.array(spent)
        total, scoring = median(table.sum(1)), median(table[:, 1])
        print(
            f"  {name:<11} scene {1e3 * median(table[:, 0]):8.1f}  simulate+score {1e3 * scoring:8.1f}  "
            f"({scoring / median(mine[:, 1]):5.1f}×)  total {1e3 * total:8.1f}  ({total / median(mine.sum(1)):5.1f}×)"
        )
    if module:
        print("  sub-scores that differ by more than 1e-6:", ", ".join(f"{k} {v}" for k, v in differ.items()))


def crowd(context: SceneContext, times: int) -> SceneContext:
    """The scene with its objects ``times`` over, the copies moved by some metres."""
    rng = np.random.default_rng(1)
    o = context.objects
    moved = [o.corners + rng.normal(0, 15, (o.corners.shape[1], 1, 2)) * (k > 0) for k in range(times)]
    return replace(
        context,
        objects=Objects(
            np.concatenate(moved, 1) if moved else o.corners[:, :0],
            np.tile(o.present, (1, times)),
            np.tile(o.is_agent, times),
            np.tile(o.is_stopped, times),
        ),
    )


def growth(scenes, maps: Path, plot: Path | None) -> None:
    context, *_ = ours(scenes[0], maps, proposals(scenes, 16))
    curves = {}
    print("\nsimulate + score of one scene, CPU ms (median of 5)")
    for name, cases in {
        "proposals": [(n, context, proposals(scenes, n)) for n in (1, 16, 256, 4096)],
        "objects": [
            (c.objects.corners.shape[1], c, proposals(scenes, 256)) for c in (crowd(context, k) for k in (0, 1, 4, 16))
        ],
    }.items():
        curve = []
        for count, where, poses in cases:
            run = partial(score_trajectories, where, poses)
            curve.append((count, 1e3 * median(cpu_seconds(run)[1] for _ in range(5))))
        curves[name] = np.array(curve)
        print(f"  {name:<10}", "  ".join(f"{int(n)}: {ms:.1f}" for n, ms in curve))
    if plot:
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
        for axis, (name, curve) in zip(axes, curves.items(), strict=True):
            axis.plot(curve[:, 0], curve[:, 1], marker="o")
            axis.set(xlabel=name, ylabel="CPU ms per scene")
        axes[0].set(xscale="log", yscale="log")
        axes[1].set(ylim=(0, None))
        figure.savefig(plot, dpi=110)


def _many(arguments) -> int:
    threadpool_limits(1)
    scenes, maps, poses = arguments
    for scene in scenes:
        ours(scene, maps, poses)
    return len(scenes)


def processes(scenes, maps: Path, poses: np.ndarray) -> None:
    print("\nscenes per second of wall time, by processes (warm)")
    for count in (1, 2):
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            shares = [scenes[k::count] for k in range(count)]
            for _ in pool.map(_many, [(share[:1], maps, poses) for share in shares]):
                pass
            start = time.perf_counter()
            done = sum(pool.map(_many, [(share, maps, poses) for share in shares]))
            print(f"  {count}: {done / (time.perf_counter() - start):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="an OPENSCENE_DATA_ROOT; its maps lie in maps/")
    parser.add_argument("--split", default="test")
    parser.add_argument("--max-scenes", type=int, default=24)
    parser.add_argument("--proposals", type=int, default=256)
    parser.add_argument("--no-plain", action="store_true", help="leave the slow twin out")
    parser.add_argument("--official", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    threadpool_limits(1)
    if arguments.data:
        maps = arguments.data / "maps"
        files = sorted((arguments.data / "navsim_logs" / arguments.split).glob("*.pkl"))
        logs = [read_log(path, arguments.split) for path in files]
        scenes = spread(find_scenes(logs, SceneFilter()), arguments.max_scenes)
    else:
        maps = GOLDEN / "navsim" / "maps"
        with np.load(GOLDEN / "pdm" / "official_v11.npz") as file:
            scenes = [golden_scene(dict(file), case) for case in range(3)]
    official = None
    if arguments.official:
        module = SimpleNamespace(**runpy.run_path(arguments.official))
        official = module, module.open_dataset(arguments.data, arguments.split, maps)
    poses = proposals(scenes, arguments.proposals)
    ours(scenes[0], maps, poses)  # compiles
    compare(scenes, maps, poses, not arguments.no_plain, official)
    growth(scenes, maps, arguments.plot)
    processes(scenes, maps, poses)


if __name__ == "__main__":
    main()
