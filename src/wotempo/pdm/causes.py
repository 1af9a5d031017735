"""The causes of lost sub-scores: which object, when and where, of one plan in one scene.

Computed only where a sub-score is below 1, from the same tests that gave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wotempo.geometry.pose import relative_to
from wotempo.navsim.schema import Frame
from wotempo.pdm.areas import EgoAreas, ego_areas
from wotempo.pdm.collisions import first_contacts
from wotempo.pdm.comfort import SIGNALS, Bounded, comfort_signals
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.context import ExtendedContext
from wotempo.pdm.epdms.extended_comfort import EXTENDED_SIGNALS, extended_tests
from wotempo.pdm.epdms.history import history_signals
from wotempo.pdm.epdms.lane_keeping import lane_left
from wotempo.pdm.epdms.traffic_lights import red_crossings
from wotempo.pdm.progress import ONCOMING_TOLERATED, oncoming_metres
from wotempo.pdm.states import CENTRE, HEADING, STEP_S, box_points

Found = tuple[int | None, str, str, np.ndarray | None]  # step, kind, track, the object's corners (4, 2) then


@dataclass(frozen=True)
class Cause:
    """Why one sub-score is below 1. Places: of the object, else of the ego's box, at that time; ``x``, ``y`` in metres
    of the map, ``ahead`` and ``left`` in metres of the current ego frame. None where nothing is to be said."""

    sub_score: str  # our short name
    kind: str  # class of the object, or what happened
    track: str  # token of the object's track, id of the lane connector with the red light, or ""
    seconds: float | None  # from now
    x: float | None
    y: float | None
    ahead: float | None
    left: float | None
    ego_box: list[list[float]] | None  # (4, 2) in the current ego frame, at that time
    object_box: list[list[float]] | None

    def __str__(self) -> str:
        who = f"{self.kind} {self.track}".strip()
        if self.seconds is None:
            return f"{self.sub_score}: {who}"
        where = f"{self.ahead:.1f} m ahead, {self.left:.1f} m left" if self.ahead is not None else ""
        return f"{self.sub_score}: {who} at {self.seconds:.1f} s, {where} (x {self.x:.2f}, y {self.y:.2f})"

    @property
    def fields(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def unexplained(why: str) -> Cause:
    """In place of causes that could not be found."""
    return Cause("all", f"not explained ({why})", "", None, None, None, None, None, None, None)


def pdms_causes(
    context: SceneContext, frames: Sequence[Frame], states: np.ndarray, scores: Mapping[str, float]
) -> list[Cause]:
    """Of PDMS: states (1, 41, 11), ``frames`` the current one and those that follow, ``scores`` by short name."""
    return _causes(context, frames, states, scores, _of_pdms)


def epdms_causes(
    extended: ExtendedContext,
    frames: Sequence[Frame],
    states: np.ndarray,
    scores: Mapping[str, float],
    before: np.ndarray | None,
) -> list[Cause]:
    """Of EPDMS, after the human filter; ``before``: states of the same driver half a second earlier, if any."""

    def found(name: str, scene: SceneContext, points: np.ndarray, states: np.ndarray, areas: EgoAreas) -> Found | None:
        if name == "tlc":
            crossed = [
                (int(steps.min()), place)
                for place, _, steps in red_crossings(extended.red_lights, points)
                if len(steps)
            ]
            step, place = min(crossed)
            connectors = extended.red_lights.connectors
            return step, "red light of connector", connectors[place] if connectors else "", None
        if name == "lk":
            left = lane_left(scene.centreline, points[:, :, CENTRE], areas.centre_in_intersection)
            return int(left[0]), "off the centreline for 2 s", "", None
        if name == "hc" and extended.history is not None:
            return _discomfort(history_signals(states, extended.history), len(extended.history))
        if name == "ec" and before is not None:
            fine = extended_tests(states, before)[0]
            names = [signal for signal, ok in zip(EXTENDED_SIGNALS, fine, strict=True) if not ok]
            return None, f"other than half a second earlier: {', '.join(names)}", "", None
        if name == "ddc":
            return _wrong_way(points, areas.oncoming & ~areas.centre_in_intersection)
        return _of_pdms(name, scene, points, states, areas)

    return _causes(extended.scene, frames, states, scores, found)


def _causes(
    context: SceneContext, frames: Sequence[Frame], states: np.ndarray, scores: Mapping[str, float], find
) -> list[Cause]:
    # Progress is a share: it has a cause where it is none at all.
    lost = [name for name, value in scores.items() if name != "score" and (value == 0 if name == "ep" else value < 1)]
    if not lost:
        return []
    points = box_points(states)
    areas = ego_areas(context.areas, points, states[..., :HEADING])
    classes = dict(_classes(frames))
    found = []
    for name in lost:
        if name == "ep":
            void = [factor for factor in ("nc", "dac", "ddc", "tlc") if factor in scores and scores[factor] == 0]
            kind = f"void by {' and '.join(void)}" if void else "no metre along the route"
            found.append(_placed(name, None, kind, "", None, points, context.ego))
        elif (cause := find(name, context, points, states, areas)) is not None:
            step, kind, track, corners = cause
            found.append(_placed(name, step, kind or classes.get(track, "object"), track, corners, points, context.ego))
    return found


def _classes(frames: Sequence[Frame]) -> Iterator[tuple[str, str]]:
    """(track, class); the first frame of a track comes last."""
    for frame in reversed(frames):
        if frame.boxes is not None:
            yield from zip(frame.boxes.track_tokens, frame.boxes.names.tolist(), strict=True)


def _of_pdms(name: str, context: SceneContext, points: np.ndarray, states: np.ndarray, areas: EgoAreas) -> Found | None:
    objects = context.objects
    if name in ("nc", "ttc"):
        hit, threat = first_contacts(objects, states, points, areas)
        which, step = hit[0] if name == "nc" else threat[0, :2]
        if which < 0:
            return None
        when = step if name == "nc" else step + threat[0, 2]
        return int(step), "", objects.tracks[which] if objects.tracks else "", objects.corners[when, which]
    if name == "dac":
        return int(areas.non_drivable[0].argmax()), "off the drivable area", "", None
    if name == "ddc":
        return _wrong_way(points, areas.oncoming)
    if name == "comfort":
        return _discomfort(comfort_signals(states), 0)
    return None


def _wrong_way(points: np.ndarray, oncoming: np.ndarray) -> Found:
    metres = oncoming_metres(points[:, :, CENTRE], oncoming)[0]
    return int((metres >= ONCOMING_TOLERATED).argmax()), "off the lanes of the route", "", None


def _discomfort(signals: list[Bounded], before: int) -> Found:
    """The signals that leave their bounds, and the first step at which one does; ``before``: steps of the past."""
    steps, names = [], []
    for name, (signal, low, high) in zip(SIGNALS, signals, strict=True):
        outside = ~((signal[0] > low) & (signal[0] < high))
        if outside.any():
            names.append(f"{name} {signal[0][outside][0]:.2f}")
            steps.append(int(outside.argmax()) - before)
    return max(min(steps), 0) if steps else None, f"uncomfortable: {', '.join(names)}", "", None


def _placed(
    name: str, step: int | None, kind: str, track: str, corners: np.ndarray | None, points: np.ndarray, ego: np.ndarray
) -> Cause:
    if step is None:
        return Cause(name, kind, track, None, None, None, None, None, None, None)
    box = points[0, step, :CENTRE]
    x, y = (box if corners is None else corners).mean(0)
    ahead, left = _in_ego_frame(np.array([[x, y]]), ego)[0]
    return Cause(
        name,
        kind,
        track,
        round(step * STEP_S, 1),
        round(float(x), 2),
        round(float(y), 2),
        ahead,
        left,
        _in_ego_frame(box, ego),
        None if corners is None else _in_ego_frame(corners, ego),
    )


def _in_ego_frame(xy: np.ndarray, ego: np.ndarray) -> list[list[float]]:
    poses = np.concatenate((xy, np.zeros((len(xy), 1))), 1)
    return np.round(relative_to(ego[: HEADING + 1], poses)[:, :2], 2).tolist()
