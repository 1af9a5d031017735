"""All anchors of one scene, scored as an evaluation scores each: alone, its progress relative to PDM-Closed's.

Labels of training are another score: their progress is relative to the best anchor of the scene.
"""

from __future__ import annotations

import numpy as np

from wotempo.maps import MapIndex
from wotempo.navsim.schema import Scene
from wotempo.pdm.closed.plan import closed_states, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.metrics import METRICS
from wotempo.pdm.score import SubScores, score, score_each
from wotempo.pdm.simulate import simulate


def score_alone(scene: Scene, town: MapIndex, anchors: np.ndarray) -> SubScores:
    """anchors (N, 8, 3) in the ego frame, every 0.5 s -> the PDMS and its parts, each (N,): what ``evaluate_scenes``
    says of each as a driver. Raises SceneError for a scene that cannot be scored."""
    context = SceneContext.build(scene, town)
    closed = closed_states(plan_closed(scene, town, context, METRICS["pdms"].choose), context)
    best = float(score(context, closed).masked_progress[0])
    return score_each(context, simulate(context.ego, anchors, start_us=context.start_us), best)
