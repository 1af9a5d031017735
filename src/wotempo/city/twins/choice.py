"""The worth of the history in a pair: PDMS of the best anchors, with and without knowing it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wotempo.city.dataset.frames import LogIdentity
from wotempo.city.twins.candidate import Candidate
from wotempo.city.twins.members import as_it_was
from wotempo.city.twins.motion import NOW, Motion
from wotempo.city.twins.scenes import record_member
from wotempo.city.twins.stage import Moment
from wotempo.maps import MapIndex
from wotempo.navsim.schema import NUM_HISTORY, Frame, Log, Scene
from wotempo.pdm.areas import ego_areas
from wotempo.pdm.closed.plan import closed_states, plan_closed
from wotempo.pdm.collisions import collision_scores
from wotempo.pdm.comfort import comfort_tests
from wotempo.pdm.context import SceneContext
from wotempo.pdm.objects import NUM_OBJECT_STEPS, Objects, box_corners, replay_objects
from wotempo.pdm.progress import progress_along
from wotempo.pdm.score import pdm_score, progress_alone, score
from wotempo.pdm.simulate import simulate
from wotempo.pdm.states import CENTRE, HEADING, box_points


@dataclass(frozen=True)
class Worth:
    """``headroom``: PDMS, mean of the scenes' best less the best mean. ``changed``: share of the anchors whose NC or
    TTC differs between the scenes. ``best``: mean of the scenes' best."""

    headroom: float
    changed: float
    best: float


class Bench:
    """All anchors driven once at a moment; both scenes of any pair there are judged with that."""

    def __init__(self, moment: Moment, anchors: np.ndarray, town: MapIndex) -> None:
        self._moment, self._town = moment, town
        frames = record_member(moment, as_it_was(moment), LogIdentity("base", "base", 0))
        self._context = SceneContext.build(_scene(frames), town)
        self._states = simulate(self._context.ego, anchors, start_us=self._context.start_us)
        self._points = box_points(self._states)
        self._areas = ego_areas(self._context.areas, self._points, self._states[..., :HEADING])
        self._dac = np.asarray(~self._areas.non_drivable.any(-1), np.float64)
        self._comfort = np.asarray(comfort_tests(self._states).all(-1), np.float64)
        self._progress = progress_along(self._context.centreline, self._points[:, :, CENTRE])

    def guess(self, candidate: Candidate) -> Worth:
        """Cheaply, as if nobody but the agent did anything else than without it."""
        objects = self._context.objects
        both = [self._with(objects, motion, candidate.size) for motion in (candidate.dangerous, candidate.calm)]
        hits = [self._hits(objects) for objects in both]
        best = max(float((self._progress * nc * self._dac).max()) for nc, _ in hits)
        return self._worth(hits, [best, best])

    def worth(self, members: list[list[Frame]]) -> Worth:
        """As ``evaluate`` scores: each anchor alone, its progress relative to PDM-Closed's."""
        hits, references = [], []
        for frames in members:
            scene = _scene(frames)
            context = replace(self._context, objects=replay_objects([scene.current, *scene.future]))
            driven = closed_states(plan_closed(scene, self._town, context), context)
            references.append(float(score(context, driven).masked_progress[0]))
            hits.append(self._hits(context.objects))
        return self._worth(hits, references)

    def _hits(self, objects: Objects) -> np.ndarray:
        """(2, N) NC and TTC of the anchors."""
        return np.stack(collision_scores(objects, self._states, self._points, self._areas))

    def _worth(self, hits: list[np.ndarray], references: list[float]) -> Worth:
        scores = []
        for (nc, ttc), reference in zip(hits, references, strict=True):
            multiplier = nc * self._dac
            progress = progress_alone(self._progress * multiplier, multiplier, reference)
            scores.append(pdm_score(nc, self._dac, progress, ttc, self._comfort))
        best = float(np.mean([each.max() for each in scores]))
        changed = float((hits[0] != hits[1]).any(0).mean())
        return Worth(best - float(np.mean(scores, 0).max()), changed, best)

    def _with(self, objects: Objects, motion: Motion | None, size: np.ndarray) -> Objects:
        if motion is None:
            return objects
        poses = motion.poses()[NOW : NOW + NUM_OBJECT_STEPS]
        poses[:, :2] += self._moment.district.origin
        corners = box_corners(poses, size[0], size[1])[:, None]
        return Objects(
            np.concatenate([objects.corners, corners], 1),
            np.concatenate([objects.present, np.ones((NUM_OBJECT_STEPS, 1), bool)], 1),
            np.append(objects.is_agent, True),
            np.append(objects.is_stopped, motion.speed[NOW] < 0.05),
        )


def _scene(frames: list[Frame]) -> Scene:
    return Scene(Log(frames[0].log_name, "twins", frames), NUM_HISTORY - 1)
