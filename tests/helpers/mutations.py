"""Files as a full disk, a bad copy or an editor leaves them: seeded damage to bytes, and to data in JSON and yaml."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import yaml

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "x", "nan", "\x00", "../..", [], {}, [[]], [None],
    {"x": None}, [1, "a"], "9" * 400,
)  # fmt: skip


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def of_bytes(content: bytes, rng: random.Random) -> bytes:
    """Damage that knows nothing of the format."""
    kind = rng.choice(("flip", "flip", "cut", "cut", "empty", "middle", "zeros", "noise", "twice", "no text"))
    place = rng.randrange(max(len(content), 1))
    end = min(len(content), place + rng.randrange(1, 400))
    match kind:
        case "flip":
            damaged = bytearray(content)
            for _ in range(rng.choice((1, 1, 3, 30))):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            return bytes(damaged)
        case "cut":
            return content[:place]
        case "empty":
            return b""
        case "middle":
            return content[:place] + content[end:]
        case "zeros":
            return content[:place] + bytes(end - place) + content[end:]
        case "noise":
            return content[:place] + rng.randbytes(end - place) + content[end:]
        case "twice":
            return content + content[place:]
        case _:
            return content[:place] + b"\xff\xfe\x80" + content[place:]


def of_data(tree: Any, rng: random.Random) -> Any:
    """The same tree with one part taken out, or of another kind."""
    places = list(_places(tree))
    path = rng.choice(places)
    copy = json.loads(json.dumps(tree))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if rng.random() < 0.3:
        del holder[path[-1]]
    else:
        holder[path[-1]] = rng.choice(ODD)
    return copy


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from _places(value, (*path, key))


def mutations(content: bytes, count: int, seed: int, kind: str = "") -> Iterator[bytes]:
    """``count`` of a file's content. ``kind``: json and yaml are damaged as data, too, and csv in its cells."""
    rng = random.Random(seed)
    for number in range(count):
        if kind == "" or number % 3 == 0:
            yield of_bytes(content, rng)
        elif kind == "csv":
            lines = content.decode().split("\n")
            row = rng.randrange(len(lines))
            cells = lines[row].split(",")
            cells[rng.randrange(len(cells))] = rng.choice(("", "x", "nan", "inf", "-1", "1e999", "1" * 400, '"', "a,b"))
            lines[row] = ",".join(cells)
            yield "\n".join(lines).encode()
        elif number % 30 == 1:
            yield (nested(100_000) if rng.random() < 0.5 else '{"a":' * 5000).encode()
        elif kind == "json":
            yield json.dumps(of_data(json.loads(content), rng)).encode()
        else:
            yield yaml.safe_dump(of_data(yaml.safe_load(content), rng)).encode()
