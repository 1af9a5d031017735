"""Pairs whose changed agent is a vehicle: crossing, oncoming, lead, lane_change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wotempo.city.sensors.world import CLASS_NAMES
from wotempo.city.streets.curves import Line, angle_between, resample
from wotempo.city.streets.network import LEFT
from wotempo.city.traffic.fleet import EGO_FRONT, EGO_LENGTH, EGO_REAR, PAINTS
from wotempo.city.twins.candidate import Candidate, in_sight
from wotempo.city.twins.motion import NOW, Motion, braking, moved, steady
from wotempo.city.twins.stage import Moment

VEHICLE = CLASS_NAMES.index("vehicle")
SPACING = 1.0  # metres between vertices of a way
PLACES = 8  # of an agent before a junction that are tried
LATERAL = 3.5  # m/s² of the agent in bends, at most


def crossing(moment: Moment, rng: np.random.Generator) -> Candidate | None:
    """A vehicle from the side comes at speed, or waits."""
    return _at_junction(moment, rng, "crossing", lambda turn, angle: np.radians(40) < abs(angle) < np.radians(140))


def oncoming(moment: Moment, rng: np.random.Generator) -> Candidate | None:
    """The ego turns left; a vehicle comes towards it fast, or slowly."""
    return _at_junction(moment, rng, "oncoming", lambda turn, angle: turn == LEFT and abs(angle) > np.radians(130))


def lead(moment: Moment, rng: np.random.Generator) -> Candidate | None:
    """The vehicle in front keeps its speed, or brakes hard."""
    if moment.speed < 4.0:
        return None
    size, front, ahead = _body(rng)
    at = moment.s[NOW] + EGO_FRONT + rng.uniform(5.0, 6.0 + 1.6 * moment.speed) + size[0] - front
    way = Line(_resampled(moment.path[:, :2]))
    begun, rate = rng.uniform(0.6, 1.5), rng.uniform(3.5, 6.0)
    calm = moved(way, at, steady(max(moment.speed * rng.uniform(0.95, 1.15), 5.0)), ahead)
    danger = moved(way, at, braking(rng.uniform(0.5, 0.75 * moment.speed), rate, begun), ahead)
    return _vehicle("lead", danger, calm, size, rng)


def lane_change(moment: Moment, rng: np.random.Generator) -> Candidate | None:
    """A slow neighbour changes into the ego's lane; or one stands in its own lane, or passes on in it."""
    network, paths = moment.drive.network, moment.drive.paths
    place = int(np.searchsorted(paths.starts[moment.ego], moment.s[NOW], "right")) - 1
    element = network.elements[int(paths.elements[moment.ego, place])]
    if element.connector or moment.speed < 4.0:
        return None
    lanes = network.groups[element.group].elements
    index = lanes.index(int(paths.elements[moment.ego, place]))
    sides = [k for k in (index - 1, index + 1) if 0 <= k < len(lanes)]
    if not sides:
        return None
    neighbour = network.elements[lanes[int(rng.choice(sides))]]
    size, front, ahead = _body(rng)
    along = moment.s[NOW] - float(paths.starts[moment.ego, place])
    at = along + EGO_FRONT + rng.uniform(2.0, 4.0 + 1.2 * moment.speed) + size[0] - front
    if at + 45.0 > neighbour.line.length or at < 15.0:
        return None
    mine, own = element.line, neighbour.line
    to = (mine.at(at)[0] - own.at(at)[0]) @ _left(own.at(at)[1])  # metres to the left where the ego's lane lies
    started, reach, out = rng.uniform(9.0, 14.0), rng.uniform(11.0, 17.0), rng.uniform(0.35, 0.7) * np.sign(to)
    slope = 2 * out / started
    slow = moment.speed * rng.uniform(0.3, 0.65)
    danger = moved(_drift(own, at, started, reach, out, slope, to), at, steady(slow), ahead)
    if rng.random() < 0.5:
        calm = moved(danger.line, at, steady(0.0), ahead)
    else:
        back = _drift(own, at, started, reach, out, slope, 0.3 * out)
        calm = moved(back, at, steady(moment.speed + rng.uniform(1.5, 4.0)), ahead)
    return _vehicle("lane_change", danger, calm, size, rng)


def _drift(own: Line, at: float, started: float, reach: float, out: float, slope: float, end: float) -> Line:
    """``own``, left for an offset of ``out`` with ``slope`` at ``at`` metres, and for one of ``end`` from ``reach``
    metres later on."""
    s = own.s - at
    before = out * np.clip((s + started) / started, 0.0, None) ** 2
    u = np.clip(s / reach, 0.0, 1.0)
    hermite = (2 * u**3 - 3 * u**2 + 1) * out + (u**3 - 2 * u**2 + u) * slope * reach + (3 * u**2 - 2 * u**3) * end
    offset = np.where(s < 0, before, hermite)
    normal = np.stack([-np.sin(own.heading), np.cos(own.heading)], 1)
    return Line(own.points + offset[:, None] * normal)


def _at_junction(
    moment: Moment, rng: np.random.Generator, kind: str, wanted: Callable[[str, float], bool]
) -> Candidate | None:
    """Whoever comes another way through the ego's next junction, on time to meet it."""
    network, paths, s = moment.drive.network, moment.drive.paths, moment.s
    place = int(np.searchsorted(paths.starts[moment.ego], s[NOW], "right")) - 1
    place += (place + 1) % 2  # connectors are at odd places
    mine = int(paths.elements[moment.ego, place])
    if mine < 0:
        return None
    element, begin = network.elements[mine], float(paths.starts[moment.ego, place])
    conflict = network.conflicts[element.node]
    me = int(np.flatnonzero(conflict.connectors == mine)[0])
    entry = element.line.heading[0]
    found = []
    for other, number in enumerate(conflict.connectors):
        theirs = network.elements[int(number)]
        if not np.isfinite(conflict.reach[other, me]) or theirs.before == element.before:
            continue
        if wanted(element.turn, angle_between(entry, theirs.line.heading[0])):
            found.append((other, theirs))
    if not found:
        return None
    for _ in range(PLACES):
        other, theirs = found[int(rng.integers(len(found)))]
        reach = begin + conflict.reach[me, other] - EGO_FRONT
        soon = float(np.interp(reach, s[NOW:], 0.1 * np.arange(len(s) - NOW)))
        if not 0.6 < soon < 3.8:
            continue
        size, front, ahead = _body(rng)
        before = network.elements[theirs.before[0]].line
        left = rng.uniform(4.0, conflict.reach[other, me] + 18.0)  # metres of its front to where the two meet
        at = before.length + conflict.reach[other, me] - left - front
        speed = left / (soon + rng.uniform(-0.4, 0.7))
        bend = float(np.abs(theirs.line.curvature).max())
        if not 3.2 < speed < 13.0 or at < 1.6 * speed + 1.0 or speed**2 * bend > LATERAL:
            continue
        way = _joined(before, theirs.line, network.elements[theirs.after[0]].line)
        if not in_sight(moment, way.at(at)[0]):
            continue
        danger = moved(way, at, steady(speed), ahead)
        if rng.random() < 0.6:
            calm = moved(way, at, steady(0.0), ahead)
        else:  # has just come to a stand
            calm = moved(way, at, braking(0.0, rng.uniform(1.0, 2.0), rng.uniform(0.8, 1.5)), ahead)
        return _vehicle(kind, danger, calm, size, rng)
    return None


def _vehicle(kind: str, danger: Motion, calm: Motion, size: np.ndarray, rng: np.random.Generator) -> Candidate | None:
    """None where the way is too short."""
    if any(m.s[0] < 1.0 or m.s[-1] > m.line.length - 1.0 for m in (danger, calm)):
        return None
    return Candidate(kind, danger, calm, size, VEHICLE, PAINTS[rng.integers(len(PAINTS))])


def _body(rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Size (3,), metres from the rear axle to the front, and to the middle."""
    low, high = ((4.1, 1.72, 1.4), (5.1, 1.95, 1.8)) if rng.random() < 0.8 else ((5.1, 1.95, 1.9), (6.0, 2.1, 2.5))
    size = rng.uniform(low, high)
    return size, size[0] * EGO_FRONT / EGO_LENGTH, size[0] * (EGO_FRONT - EGO_REAR) / 2 / EGO_LENGTH


def _left(heading: float) -> np.ndarray:
    return np.array([-np.sin(heading), np.cos(heading)])


def _joined(*lines: Line) -> Line:
    return Line(_resampled(np.concatenate([lines[0].points, *(line.points[1:] for line in lines[1:])])))


def _resampled(points: np.ndarray) -> np.ndarray:
    steps = np.hypot(*np.diff(points, axis=0).T)
    return resample(points[np.concatenate([[True], steps > 1e-6])], SPACING)
