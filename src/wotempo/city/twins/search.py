"""The search for pairs: drives, moments in them, candidates at a moment, and the tests from the cheap to the dear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import shapely

from wotempo.city.dataset.config import TwinConfig
from wotempo.city.sensors.town import District
from wotempo.city.sensors.world import StaticWorld
from wotempo.city.traffic.drive import WARM_UP_S, begin_drive
from wotempo.city.traffic.ego import drivable_area, faulty_steps
from wotempo.city.traffic.people import gather
from wotempo.city.traffic.props import draw_props
from wotempo.city.traffic.simulation import DT, Simulation, Tracks
from wotempo.city.twins.candidate import Candidate, plausible
from wotempo.city.twins.choice import Bench
from wotempo.city.twins.members import Member, fit, play
from wotempo.city.twins.motion import AFTER, NOW
from wotempo.city.twins.on_foot import kerb, permanence
from wotempo.city.twins.stage import Moment
from wotempo.city.twins.vehicles import crossing, lane_change, lead, oncoming

DRIVE_S = 22.0
EXPERTS = 45
EVERY = 2  # steps between two moments of a drive
SLOWEST = 2.0  # m/s of an ego that has something to decide
GUESSED = 1.0  # share of the headroom that the cheap guess must see
APART = 30  # steps between two pairs of one ego
DRIVES = 100  # that are searched for a block's pairs; a district needs a handful

Propose = Callable[[Moment, np.random.Generator], Candidate | None]
PROPOSE: Mapping[str, Propose] = MappingProxyType({
    "crossing": crossing, "lead": lead, "kerb": kerb, "oncoming": oncoming, "lane_change": lane_change,
    "permanence": permanence,
})  # fmt: skip
TRIES = MappingProxyType({"crossing": 2, "lead": 2, "kerb": 3, "oncoming": 1, "lane_change": 4, "permanence": 10})


@dataclass(frozen=True)
class Found:
    """A candidate that can be recorded, with both members: first the dangerous one."""

    moment: Moment
    candidate: Candidate
    members: tuple[Member, Member]


def moments(district: District, world: StaticWorld, area: shapely.Geometry, rng: np.random.Generator) -> list[Moment]:
    """Of one drive, in random order: where a vehicle that may be the ego drives faultlessly."""
    drive, simulation, steps = begin_drive(district.network, DRIVE_S, EXPERTS, rng)
    first = round(WARM_UP_S / DT) + NOW
    forks: dict[int, Simulation] = {}
    record = []
    for k in range(steps):
        if k >= first and k % EVERY == 0 and k + AFTER + 1 < steps:
            forks[k] = simulation.fork()
        record.append((simulation.s, simulation.v, simulation.a, simulation.walked.copy()))
        simulation.step()
    columns = (np.array(values) for values in zip(*record, strict=True))
    s, v, a, walked = columns
    drive = drive.driven(Tracks(s, v, a, walked, simulation.lights[:steps]))
    props = draw_props(district.network, district.surroundings, drive.closed, rng)
    people = gather(drive, props, int(rng.integers(2**31)))
    found = []
    for ego in map(int, np.flatnonzero(drive.fleet.expert)):
        faulty = faulty_steps(drive, people, area, ego, 0)
        for k, fork in forks.items():
            if drive.tracks.speed[k, ego] > SLOWEST and not faulty[k - NOW : k + AFTER].any():
                found.append(Moment(district, world, drive, people, fork, ego, k))
    return [found[n] for n in rng.permutation(len(found))]


def search(
    district: District, world: StaticWorld, kinds: list[str], bench: Callable[[Moment], Bench],
    accept: Callable[[Found, Bench], bool], config: TwinConfig, seed: list[int],
) -> Iterator[Found]:  # fmt: skip
    """One pair of each of ``kinds`` that ``accept`` takes, as they are found; always the same for one ``seed``.
    RuntimeError where ``DRIVES`` drives do not yield them."""
    area, missing = drivable_area(district.network), list(kinds)
    for attempt in range(DRIVES):
        rng = np.random.default_rng([*seed, attempt])
        used: list[tuple[int, int]] = []
        for moment in moments(district, world, area, rng):
            judge: Bench | None = None
            for kind in sorted(set(missing)):
                if any(ego == moment.ego and abs(step - moment.step) < APART for ego, step in used):
                    break
                for candidate in _proposals(moment, kind, rng):
                    judge = judge or bench(moment)
                    guess = judge.guess(candidate)
                    if guess.headroom < GUESSED * config.headroom or guess.changed < config.changed:
                        continue
                    found = _played(moment, candidate)
                    if found is None or not accept(found, judge):
                        continue
                    missing.remove(kind)
                    used.append((moment.ego, moment.step))
                    yield found
                    break
            if not missing:
                return
    raise RuntimeError(f"{DRIVES} drives of district {district.index} yield no pair of {', '.join(sorted(missing))}")


def _proposals(moment: Moment, kind: str, rng: np.random.Generator) -> Iterator[Candidate]:
    for _ in range(TRIES[kind]):
        candidate = PROPOSE[kind](moment, rng)
        if candidate is not None and plausible(moment, candidate):
            yield candidate


def _played(moment: Moment, candidate: Candidate) -> Found | None:
    """None where a member is not fit to be recorded."""
    members = []
    for motion in (candidate.dangerous, candidate.calm):
        member = play(moment, candidate, motion)
        if not fit(member, candidate, motion):
            return None
        members.append(member)
    return Found(moment, candidate, (members[0], members[1]))
