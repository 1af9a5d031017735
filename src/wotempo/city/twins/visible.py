"""Whether the sensors show the changed agent: seen in the history; now seen, or, where it is hidden, not at all."""

from __future__ import annotations

import numpy as np

from wotempo.city.dataset.frames import actors_at
from wotempo.city.sensors import lidar, render
from wotempo.city.sensors.scenery import Snapshot, take_snapshot
from wotempo.city.twins.members import Member
from wotempo.city.twins.scenes import PLACES
from wotempo.city.twins.search import Found
from wotempo.city.twins.stage import Moment
from wotempo.navsim.schema import NUM_HISTORY, STITCHED_CAMERAS, Frame

BEAMS = 8  # that must meet the agent where it is to be seen
RANGE = 32.0  # metres ahead and aside: what the LiDAR maps of the planners show


def shows(found: Found, frames: list[Frame]) -> bool:
    """``frames`` of the dangerous member. Seen half a second ago or earlier, and now unless it has a cover."""
    moment, member = found.moment, found.members[0]
    now = _seen(moment, member, frames, NUM_HISTORY - 1)
    if found.candidate.cover is None:
        return now >= BEAMS and _seen(moment, member, frames, NUM_HISTORY - 2) >= BEAMS
    if now > 0 or not _same_pictures(found, frames):
        return False
    return any(_seen(moment, member, frames, k) >= BEAMS for k in range(NUM_HISTORY - 1))


def _seen(moment: Moment, member: Member, frames: list[Frame], k: int) -> int:
    """Beams of the LiDAR that meet the agent in frame ``k`` within RANGE."""
    place = int(PLACES[k])
    agent = member.people.poses[place, member.agent]
    ego = member.drive.poses[place, member.ego]
    offset = agent[:2] - ego[:2]
    forward = np.array([np.cos(ego[2]), np.sin(ego[2])])
    if max(offset @ forward, abs(forward[0] * offset[1] - forward[1] * offset[0])) > RANGE:
        return 0
    snapshot = _snapshot(moment, member, frames, k)
    without = _snapshot(moment, member, frames, k, leave_out=True)
    far, near = (lidar.trace(each)[0] for each in (without, snapshot))
    return int((near < far - 1e-4).sum())


def _same_pictures(found: Found, frames: list[Frame]) -> bool:
    """Whether no pixel of the current frame tells that somebody is behind the cover, not even by a shadow."""
    k = NUM_HISTORY - 1
    first, second = (_snapshot(found.moment, member, frames, k) for member in found.members)
    return all(
        np.array_equal(render.render_view(first, camera), render.render_view(second, camera))
        for camera in (frames[k].cameras[name] for name in STITCHED_CAMERAS)
    )


def _snapshot(moment: Moment, member: Member, frames: list[Frame], k: int, leave_out: bool = False) -> Snapshot:
    people = member.people.without_last() if leave_out else member.people
    actors = actors_at(moment.district, member.drive, people, member.ego, int(PLACES[k]))
    return take_snapshot(moment.world, actors, frames[k].pose, frames[k].height)
