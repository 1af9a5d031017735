"""Twin scenes on disk: blocks of pairs, each found, rendered and written by one task; last ``twins.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from wotempo.city.dataset.config import TwinConfig
from wotempo.city.dataset.frames import LogIdentity, actors_at
from wotempo.city.dataset.futures import simulate_futures
from wotempo.city.dataset.plan import LogPlan, plan_logs
from wotempo.city.sensors.files import write_snapshot
from wotempo.city.sensors.render import same_view
from wotempo.city.sensors.scenery import take_snapshot
from wotempo.city.sensors.town import LOCATION, draw_district, draw_world
from wotempo.city.sensors.world import StaticWorld
from wotempo.city.twins.choice import Bench
from wotempo.city.twins.members import Member
from wotempo.city.twins.scenes import PLACES, record_member
from wotempo.city.twins.search import Found, search
from wotempo.city.twins.stage import Moment
from wotempo.city.twins.visible import shows
from wotempo.maps import read_map
from wotempo.navsim.dataset import SPLITS
from wotempo.navsim.files import write_bytes
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.schema import NUM_HISTORY, Frame
from wotempo.navsim.twins import Pair, Twins, pair_of, write_twins
from wotempo.pdm.anchors import cluster_anchors

ANCHORS, FUTURES = 64, 800  # typical plans by which pairs are chosen, and the futures that they are made of
ROUNDS = 4  # pairs of each kind in a block, about
PARTS = "twins"  # folder of the blocks' lists


@dataclass(frozen=True)
class Block:
    """Pairs that are cut from the same drives of one district: about ROUNDS of each kind, or what is left of them."""

    split: str
    number: int  # within its split
    plans: tuple[LogPlan, ...]  # two for a pair


def plan_blocks(config: TwinConfig) -> list[Block]:
    """All blocks, split by split and district by district."""
    blocks, size = list[Block](), 2 * ROUNDS * len(config.kinds)
    for split, of_split in groupby(plan_logs(config), key=lambda plan: plan.split):
        number = 0
        for _, of_district in groupby(_apart(list(of_split)), key=lambda plan: plan.district):
            plans = tuple(of_district)
            for start in range(0, len(plans), size):
                blocks.append(Block(split, number, plans[start : start + size]))
                number += 1
    return blocks


def _apart(plans: list[LogPlan]) -> list[LogPlan]:
    """The plans of a split, two by two, under names that keep the scenes of a pair apart where logs are sorted: what
    looks at a neighbour, as the control ``stale_history`` does, must not meet the partner."""
    half = len(plans) // 2
    names = [plans[i].identity for n in range(half) for i in (n, half + n)]
    return [replace(plan, identity=identity) for plan, identity in zip(plans, names, strict=True)]


def kinds_of(config: TwinConfig, block: Block) -> list[str]:
    """The kinds of a block's pairs. Over a split each comes once in every so many pairs as there are kinds."""
    kinds, split = config.kinds, SPLITS.index(block.split)
    found = []
    for plan in block.plans[::2]:
        turn, place = divmod(plan.number // 2, len(kinds))
        found.append(kinds[np.random.default_rng([config.seed, split, turn, 108]).permutation(len(kinds))[place]])
    return found


def _seed(config: TwinConfig, block: Block) -> list[int]:
    return [config.seed, SPLITS.index(block.split), block.number, 107]


def part_path(root: Path, block: Block) -> Path:
    """Where a block lists its pairs; written when all of them are whole."""
    return root / PARTS / f"{block.split}_{block.number:05d}.json"


def prepare(root: Path, config: TwinConfig) -> None:
    """Write what all blocks need: the anchors by which pairs are chosen."""
    path = root / PARTS / "anchors.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        anchors = cluster_anchors(simulate_futures(config, FUTURES, config.seed), ANCHORS, config.seed)
        write_bytes(path, json.dumps(anchors.tolist()).encode())


def finish(root: Path, config: TwinConfig, blocks: list[Block]) -> None:
    """Write ``twins.json`` of all blocks' lists."""
    pairs = tuple(pair for block in blocks for pair in _read_part(part_path(root, block)))
    write_twins(root, Twins(config.fingerprint, NUM_HISTORY, pairs))


def _read_part(path: Path) -> Iterator[Pair]:
    yield from map(pair_of, json.loads(path.read_bytes()))


def make_block(root: Path, config: TwinConfig, block: Block) -> None:
    """Find, render and write the block's pairs; a pair whose logs are there is not rendered again."""
    district_index = block.plans[0].district
    district, world = draw_district(config.seed, district_index), draw_world(config.seed, district_index)
    anchors = np.array(json.loads((root / PARTS / "anchors.json").read_bytes()))
    seed = _seed(config, block)
    order = np.random.default_rng([*seed, 1])
    kinds = kinds_of(config, block)
    town = read_map(root / "maps", LOCATION)

    def bench(moment: Moment) -> Bench:
        return Bench(moment, anchors, town)

    def accept(found: Found, judge: Bench) -> bool:
        frames = [record_member(found.moment, member, LogIdentity("x", "x", 0)) for member in found.members]
        worth = judge.worth(frames)
        return worth.headroom >= config.headroom and worth.changed >= config.changed and shows(found, frames[0])

    pairs = []
    for n, found in enumerate(search(district, world, kinds, bench, accept, config, seed)):
        plans = block.plans[2 * n : 2 * n + 2]
        members = found.members if order.random() < 0.5 else found.members[::-1]
        pairs.append(_write_pair(root, config, world, found, members, plans))
    write_bytes(part_path(root, block), json.dumps([asdict(pair) for pair in pairs]).encode())


def _write_pair(
    root: Path, config: TwinConfig, world: StaticWorld, found: Found, members: tuple[Member, ...],
    plans: tuple[LogPlan, ...],
) -> Pair:  # fmt: skip
    first, second = plans
    identities = (
        first.identity,
        replace(second.identity, start_us=first.identity.start_us, vehicle=first.identity.vehicle),
    )
    logs = [record_member(found.moment, member, identity) for member, identity in zip(members, identities, strict=True)]
    paths = [root / "navsim_logs" / plan.folder / f"{plan.identity.name}.pkl" for plan in plans]
    if not all(path.exists() for path in paths):
        if config.sensors:
            _render(root / "sensor_blobs" / first.folder, config, world, found.moment, members, logs)
        for path, frames in zip(paths, logs, strict=True):
            write_log(path, frames)
    current = [frames[NUM_HISTORY - 1].token for frames in logs]
    agents = [
        () if member.agent is None else (identity.token("track", member.agent),)
        for member, identity in zip(members, identities, strict=True)
    ]
    name = f"{first.split}-{first.number // 2:05d}-{found.candidate.kind}"
    return Pair(
        name, found.candidate.kind, first.split, first.district, (current[0], current[1]), (agents[0], agents[1])
    )


def _render(
    blobs: Path, config: TwinConfig, world: StaticWorld, moment: Moment, members: tuple[Member, ...],
    logs: list[list[Frame]],
) -> None:  # fmt: skip
    """The sensors up to the current frame. What shows the same in both members is rendered for the first one and given
    to the second: the current frame, and earlier pictures that the changed agent is in neither of."""
    for k in range(NUM_HISTORY):
        here, there = (frames[k] for frames in logs)
        first, second = (
            take_snapshot(
                world, actors_at(moment.district, m.drive, m.people, m.ego, int(PLACES[k])), here.pose, here.height
            )
            for m in members
        )
        now = k == NUM_HISTORY - 1
        alike = [name for name in config.cameras if now or same_view(first, second, here.cameras[name])]
        other = [name for name in config.cameras if name not in alike]
        write_snapshot(first, here, blobs, config.cameras, int(here.token, 16))
        shared = [(here.cameras[name].path, there.cameras[name].path) for name in alike]
        if now:
            shared.append((here.lidar_path, there.lidar_path))
        else:
            write_snapshot(second, there, blobs, other, int(here.token, 16))
        for source, target in shared:
            (blobs / target).parent.mkdir(parents=True, exist_ok=True)
            (blobs / target).unlink(missing_ok=True)
            os.link(blobs / source, blobs / target)
