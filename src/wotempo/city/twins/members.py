"""Both members of a pair, simulated on from the current frame: who is where, and whether that is fit to be recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wotempo.city.sensors.world import CLASS_NAMES
from wotempo.city.traffic.drive import Drive
from wotempo.city.traffic.overlap import boxes_touch
from wotempo.city.traffic.people import People
from wotempo.city.traffic.simulation import DT, Reaction, Tracks, simulate
from wotempo.city.twins.candidate import Candidate
from wotempo.city.twins.motion import AFTER, COUNT, NOW, Motion
from wotempo.city.twins.reaction import Reaction as ToAgent
from wotempo.city.twins.stage import Moment

HARDEST = 6.5  # m/s² of the expert's braking
TOUCH = 0.05  # metres
TRACKS = ("s", "speed", "acceleration", "walked", "lights")  # of Tracks, in its order


@dataclass(frozen=True)
class Member:
    """One scene of a pair over COUNT steps. ``agent``: the changed agent among the people; None: not there."""

    drive: Drive
    people: People
    ego: int
    agent: int | None


def play(moment: Moment, candidate: Candidate, motion: Motion | None) -> Member:
    """Everybody moves as before up to now; then the agent by its script, and the others as they like."""
    tracks, drive, first = moment.drive.tracks, moment.drive, moment.step - NOW
    reaction: Reaction | None = None
    if motion is not None:
        reaction = ToAgent(drive.paths, drive.fleet, tracks.s[moment.step], motion, candidate.size)
    after = simulate(moment.simulation.fork(), AFTER + 1, reaction)
    before = slice(first, moment.step)
    joined = Tracks(*(
        np.concatenate([getattr(tracks, name)[before], getattr(after, name)])
        for name in TRACKS
    ))  # fmt: skip
    driven = drive.driven(joined)
    walked = np.concatenate([tracks.walked[: moment.step], after.walked])
    people = _with_agent(moment, driven, walked, candidate, motion)
    return Member(driven, people, moment.ego, None if motion is None else len(people.sizes) - 1)


def as_it_was(moment: Moment) -> Member:
    """The scene of the drive itself, where nobody was changed."""
    tracks, steps = moment.drive.tracks, moment.steps
    columns = (getattr(tracks, name)[steps] for name in TRACKS)
    people = moment.people
    seen = replace(people, poses=people.poses[steps], velocity=people.velocity[steps])
    return Member(moment.drive.driven(Tracks(*columns)), seen, moment.ego, None)


def _with_agent(
    moment: Moment, drive: Drive, walked: np.ndarray, candidate: Candidate, motion: Motion | None
) -> People:
    """The people of the drive with new places for whoever reacts, the cover and the agent last."""
    base, steps, fleet = moment.people, moment.steps, drive.fleet
    poses = base.poses[steps].copy()
    vehicles = len(fleet)
    ahead = ((fleet.front - fleet.rear) / 2)[:, None]
    heading = drive.poses[..., 2:]
    forward = np.concatenate([np.cos(heading), np.sin(heading)], -1)
    poses[:, :vehicles] = np.concatenate([drive.poses[..., :2] + ahead * forward, heading], -1)
    crossers = drive.crossers.poses(drive.network, walked, DT)[steps]
    poses[:, vehicles : vehicles + crossers.shape[1]] = crossers
    sizes, classes, colours = [base.sizes], [base.classes], [base.colours]
    added = []
    if candidate.cover is not None:
        added.append(candidate.cover.poses(np.arange(COUNT)))
        sizes.append(np.reshape(candidate.cover.size, (1, 3)))
        classes.append(np.array([CLASS_NAMES.index(candidate.cover.kind)]))
        colours.append(np.reshape(candidate.cover.colour, (1, 3)))
    if motion is not None:
        added.append(motion.poses())
        sizes.append(candidate.size[None])
        classes.append(np.array([candidate.agent_class]))
        colours.append(candidate.colour[None])
    poses = np.concatenate([poses, *(pose[:, None] for pose in added)], 1)
    moved = np.diff(poses[..., :2], axis=0) / DT  # of what was, so that nothing tells of what will be
    return People(
        poses, np.concatenate([moved[:1], moved]), np.concatenate(sizes), np.concatenate(classes),
        np.concatenate(colours).astype(np.uint8),
    )  # fmt: skip


def fit(member: Member, candidate: Candidate, motion: Motion | None) -> bool:
    """Nobody touches the ego, the agent or the cover; the expert brakes no harder than a car can."""
    if member.drive.tracks.acceleration[NOW:, member.ego].min() < -HARDEST:
        return False
    people, count = member.people, len(member.people.sizes)
    guarded = [member.ego]
    if candidate.cover is not None:
        guarded.append(count - 1 if motion is None else count - 2)
    if member.agent is not None:
        guarded.append(member.agent)
    return not any(_touched(people, n) for n in guarded)


def _touched(people: People, n: int) -> bool:
    boxes = np.concatenate(
        [people.poses[:, n, :2], np.broadcast_to(people.sizes[n, :2] + 2 * TOUCH, (COUNT, 2)), people.poses[:, n, 2:]],
        1,
    )
    gap = np.hypot(*(people.poses[..., :2] - boxes[:, None, :2]).transpose(2, 0, 1))
    near = gap < (people.sizes[:, 0] + people.sizes[n, 0]) / 2 + 1.5
    near[:, n] = False
    t, other = np.nonzero(near)
    others = np.concatenate([people.poses[t, other, :2], people.sizes[other, :2], people.poses[t, other, 2:]], 1)
    return bool(boxes_touch(boxes[t], others).any())
