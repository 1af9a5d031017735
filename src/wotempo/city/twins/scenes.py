"""The members of a pair as logs of one scene each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wotempo.city.dataset.frames import LogIdentity, commands_of, frame_at, route_of
from wotempo.city.traffic.simulation import DT
from wotempo.city.twins.members import Member
from wotempo.city.twins.motion import NOW, STEPS
from wotempo.city.twins.stage import Moment
from wotempo.navsim.schema import NUM_FUTURE, NUM_HISTORY, Frame

PLACES = NOW + STEPS * np.arange(1 - NUM_HISTORY, NUM_FUTURE + 1)  # of the frames, among the steps of a member


def record_member(moment: Moment, member: Member, identity: LogIdentity) -> list[Frame]:
    """NUM_HISTORY + NUM_FUTURE frames. The ego's yaw rate is that of its last step, so that it does not tell of the
    next one. The route is that of the drive without the agent; only the current frame has one, so that a log is one
    scene, also where scenes may begin before their log does."""
    first, last = moment.steps[PLACES[0]], moment.steps[PLACES[-1]]
    route = route_of(moment.district, moment.drive, moment.ego, int(first), int(last))
    commands = commands_of(member.drive, member.ego, PLACES)
    frames = []
    for k, place in enumerate(map(int, PLACES)):
        frame = frame_at(
            moment.district,
            member.drive,
            member.people,
            member.ego,
            identity,
            k,
            place,
            commands[k],
            route if k == NUM_HISTORY - 1 else (),
        )
        turned = member.drive.poses[place, member.ego, 2] - member.drive.poses[place - 1, member.ego, 2]
        rate = float(turned / DT)
        acceleration = np.array([frame.acceleration[0], frame.velocity[0] * rate])
        frames.append(replace(frame, yaw_rate=rate, acceleration=acceleration))
    return frames
