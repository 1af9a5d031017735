"""``twins.json``: pairs of scenes of a dataset that a planner can tell apart by their history alone.

Both scenes of a pair have the same current frame, byte for byte in all that a planner reads; the histories and futures
of the changed agents differ. The file lies in the dataset's folder, beside ``splits.json``:
{"town": "…", "num_frames": 4, "pairs": [{"name": "…", "kind": "crossing", "split": "train", "district": 3,
"tokens": ["…", "…"], "agents": [["…"], ["…"]]}, …]}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wotempo.errors import UserError
from wotempo.navsim.dataset import SPLITS
from wotempo.navsim.files import read_bytes, write_bytes
from wotempo.navsim.text_files import parse_json

FILE = "twins.json"
TOWN = "city.json"  # beside it, where the dataset is a town: the town's own fingerprint


@dataclass(frozen=True)
class Pair:
    """Two scenes with one current frame."""

    name: str
    kind: str  # what the changed agents do, such as crossing, lead or permanence
    split: str  # train, val or test
    district: int  # of both scenes: intervals are drawn by it
    tokens: tuple[str, str]  # of the two scenes
    agents: tuple[tuple[str, ...], tuple[str, ...]]  # track tokens of the changed agents in either scene; may be none


@dataclass(frozen=True)
class Twins:
    """All pairs of a dataset. ``town``: fingerprint of the dataset they belong to. ``num_frames``: history frames,
    the current one included, in which the scenes of a pair differ."""

    town: str
    num_frames: int
    pairs: tuple[Pair, ...]

    def of(self, split: str) -> tuple[Pair, ...]:
        """The pairs of train, val or test."""
        return tuple(pair for pair in self.pairs if pair.split == split)


def write_twins(root: Path, twins: Twins) -> None:
    """Write ``twins.json`` into the dataset's folder, whole or not at all."""
    write_bytes(root / FILE, json.dumps(asdict(twins), indent=1).encode())


def read_twins(root: Path) -> Twins | None:
    """The pairs of the dataset in ``root``; None where it has no such file. UserError where the file is none."""
    path = root / FILE
    if not path.exists():
        return None
    try:
        raw = parse_json(read_bytes(path))
        twins = Twins(raw["town"], raw["num_frames"], tuple(map(pair_of, raw["pairs"])))
        if not isinstance(twins.town, str) or type(twins.num_frames) is not int or twins.num_frames < 1:
            raise TypeError("town must be a text and num_frames a whole number from 1 on")
        _require_own(twins.pairs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a list of twin scenes ({error!r}); generate the town again") from error
    return twins


def own_twins(root: Path) -> Twins | None:
    """``read_twins``, refused with a UserError where the file is of another town than the one in ``root``."""
    twins = read_twins(root)
    if twins is None or not (root / TOWN).exists():  # logs of a real drive have no fingerprint
        return twins
    try:
        own = parse_json(read_bytes(root / TOWN))["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{root / TOWN}: does not say which town this is ({error!r}); generate the town again"
        ) from error
    if twins.town != own:
        raise UserError(f"{root / FILE} is of the town {twins.town}, and this one is {own}: put back its own file")
    return twins


def pair_of(raw: Any) -> Pair:
    """A pair from its plain data, the inverse of ``asdict``. ValueError, KeyError or TypeError where it is none."""
    first, second = raw["tokens"]
    own, others = raw["agents"]
    pair = Pair(raw["name"], raw["kind"], raw["split"], raw["district"], (first, second), (tuple(own), tuple(others)))
    if pair.split not in SPLITS:
        raise ValueError(f"pair {pair.name}: its split is {pair.split!r}")
    if any(isinstance(tracks, str) for tracks in (own, others)):
        raise TypeError("the changed agents of a scene are a list")
    texts = (pair.name, pair.kind, pair.split, *pair.tokens, *pair.agents[0], *pair.agents[1])
    if not all(isinstance(text, str) for text in texts) or type(pair.district) is not int:
        raise TypeError("a pair's name, kind, split, tokens and agents are texts, its district a whole number")
    return pair


def _require_own(pairs: Iterable[Pair]) -> None:
    """ValueError where there is no pair, or a name or a token stands twice."""
    seen, names = set[str](), set[str]()
    for pair in pairs:
        if pair.name in names:
            raise ValueError(f"pair {pair.name} stands twice")
        names.add(pair.name)
        for token in pair.tokens:
            if token in seen:
                raise ValueError(f"scene {token} stands twice")
            seen.add(token)
    if not names:
        raise ValueError("it lists no pair")
