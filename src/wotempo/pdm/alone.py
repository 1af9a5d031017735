"""All anchors of one scene, scored as an evaluation scores each: alone, its progress relative to PDM-Closed's.

Labels of training are another score: their progress is relative to the best anchor of the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from wotempo.maps import MapIndex, read_map
from wotempo.navsim.per_scene import attempted
from wotempo.navsim.schema import Scene
from wotempo.pdm.closed.plan import closed_states, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.metrics import METRICS
from wotempo.pdm.score import SubScores, score, score_each
from wotempo.pdm.simulate import simulate

ROWS = ("nc", "dac", "ep", "ttc", "comfort", "score")


def score_part(maps: Path, anchors: np.ndarray, scenes: Sequence[Scene]) -> list[tuple[np.ndarray | None, str]]:
    """For each scene the scores of anchors (N, 8, 3) in the order of ``ROWS`` (6, N) float64, or None and why it cannot
    be scored. UserError for a map that cannot be read."""
    found = []
    with threadpool_limits(1):  # a sum does not depend on how many threads shared it
        for scene in scenes:
            town = read_map(maps, scene.current.map_location)
            town.load()  # so that a damaged layer is an error here and no scene's fault below
            found.append(attempted(partial(_rows, scene, town, anchors)))
    return found


def _rows(scene: Scene, town: MapIndex, anchors: np.ndarray) -> np.ndarray:
    found = score_alone(scene, town, anchors)
    return np.stack([getattr(found, name) for name in ROWS])


def score_alone(scene: Scene, town: MapIndex, anchors: np.ndarray) -> SubScores:
    """anchors (N, 8, 3) in the ego frame, every 0.5 s -> the PDMS and its parts, each (N,): what ``evaluate_scenes``
    says of each as a driver. Raises SceneError for a scene that cannot be scored."""
    context = SceneContext.build(scene, town)
    closed = closed_states(plan_closed(scene, town, context, METRICS["pdms"].choose), context)
    best = float(score(context, closed).masked_progress[0])
    return score_each(context, simulate(context.ego, anchors, start_us=context.start_us), best)
