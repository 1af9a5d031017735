"""Plans of several drivers, scored scene by scene in several processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wotempo.datasets import Progress
from wotempo.navsim import DataPaths, Scene
from wotempo.navsim.schema import NUM_HISTORY
from wotempo.pdm.evaluation import PDM_CLOSED, Plan, evaluate_scenes
from wotempo.pdm.labels.label_parts import cut

if TYPE_CHECKING:
    import pandas as pd

WHOLE_LOG = 10**9  # scenes of a task: EPDMS compares neighbours


def score_all(
    workers: int,
    metric: str,
    baselines: list[str],
    paths: DataPaths,
    scenes: list[Scene],
    plans: Mapping[str, Mapping[str, Plan]],
    progress: Progress,
) -> pd.DataFrame:
    """One row per driver and scene, in the order of the scenes."""
    import pandas as pd  # a training scores a few scenes only, below
    from joblib import Parallel, delayed

    tasks = cut(scenes, WHOLE_LOG, history=NUM_HISTORY)
    parallel = Parallel(n_jobs=workers, return_as="generator")
    done, rows = 0, list[dict[str, Any]]()
    progress("score plans", 0, len(scenes))
    results = parallel(
        delayed(evaluate_scenes)(
            paths.maps,
            members,
            {driver: {s.token: of[s.token] for s in members if s.token in of} for driver, of in plans.items()},
            metric,
            PDM_CLOSED in baselines,
        )
        for members in tasks
    )
    for members, result in zip(tasks, results, strict=True):
        done += len(members)
        progress("score plans", done, len(scenes))
        rows += result
    return pd.DataFrame(rows)


def score_here(
    paths: DataPaths, scenes: Sequence[Scene], plans: Mapping[str, Mapping[str, np.ndarray]]
) -> list[dict[str, Any]]:
    """``evaluate_scenes`` of a few scenes of any logs, in this process: PDMS, one row per driver and scene."""
    rows = list[dict[str, Any]]()
    for scene in scenes:
        one = {driver: {scene.token: of[scene.token]} for driver, of in plans.items()}
        rows += evaluate_scenes(paths.maps, [scene], one)
    return rows
