"""Ways to damage a file as bytes: as broken discs, cut downloads and wrong headers do, in archives too."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random

Mutator = Callable[[Random, bytes], bytes]

WHOLE_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**63 - 1)
WORDS = (b"0", b"-1", b"00", b"65000", b"4294967295", b"99999999999999999999", b"1e308", b"nan", b"inf", b"x", b"")
HEADER = 400  # bytes


def _place(rng: Random, data: bytes) -> int:
    """Anywhere, twice as often in the header, where few bytes decide much."""
    return rng.randrange(min(len(data), HEADER) if rng.random() < 0.5 else len(data)) if data else 0


def _block(rng: Random, data: bytes) -> tuple[int, int]:
    begin = _place(rng, data)
    return begin, min(len(data), begin + rng.choice((1, 2, 4, 16, 64, 512, 4096, len(data))))


def flip(rng: Random, data: bytes) -> bytes:
    """One to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: Random, data: bytes) -> bytes:
    """A block with zeros, ones, or noise."""
    begin, end = _block(rng, data)
    fill = rng.choice((b"\0", b"\xff", b"\x80", b""))
    return data[:begin] + (fill * (end - begin) or rng.randbytes(end - begin)) + data[end:]


def cut(rng: Random, data: bytes) -> bytes:
    """The end is missing; at times everything."""
    return data[: _place(rng, data)] if rng.random() < 0.9 else b""


def delete(rng: Random, data: bytes) -> bytes:
    begin, end = _block(rng, data)
    return data[:begin] + data[end:]


def insert(rng: Random, data: bytes) -> bytes:
    begin, _ = _block(rng, data)
    return data[:begin] + rng.choice((rng.randbytes(rng.choice((1, 3, 64))), b"\0" * 100, b"[" * 50_000)) + data[begin:]


def double(rng: Random, data: bytes) -> bytes:
    """A block twice, at times elsewhere."""
    begin, end = _block(rng, data)
    at = rng.choice((end, _place(rng, data)))
    return data[:at] + data[begin:end] + data[at:]


def splice(rng: Random, data: bytes) -> bytes:
    """The begin of the file and the end of it, with something between lost or repeated."""
    return data[: _place(rng, data)] + data[_place(rng, data) :]


def number(rng: Random, data: bytes) -> bytes:
    """A number of two, four or eight bytes in either order is another: sizes and offsets are such."""
    kind = rng.choice("HIQ")
    form, size = rng.choice("<>") + kind, struct.calcsize(kind)
    if len(data) < size:
        return data
    begin = min(_place(rng, data), len(data) - size)
    value = rng.choice((*WHOLE_NUMBERS, len(data), 2 * len(data))) % 256**size
    return data[:begin] + struct.pack(form, value) + data[begin + size :]


def word(rng: Random, data: bytes) -> bytes:
    """A number that is written in digits is another one."""
    found = list(re.finditer(rb"\d+", data[: rng.choice((HEADER, 1 << 20))]))
    if not found:
        return flip(rng, data)
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(WORDS) + data[chosen.end() :]


BYTES: tuple[Mutator, ...] = (flip, flip, overwrite, cut, delete, insert, double, splice, number, number, word)


def damage(rng: Random, data: bytes) -> bytes:
    """One of the above, at times several."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        data = rng.choice(BYTES)(rng, data)
    return data


def member(inner: Mutator = damage) -> Mutator:
    """Of a zip archive: one member damaged, in an archive whose checksums fit."""

    def mutate(rng: Random, data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        name = rng.choice(list(members))
        if rng.random() < 0.1:
            del members[name]
        else:
            members[name] = inner(rng, members[name])
        return zipped(members)

    return mutate


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def bomb(name: str, head: bytes, size: int) -> bytes:
    """A small zip archive whose member ``name`` begins with ``head`` and unpacks to ``size`` zeros more."""
    packer, step = zlib.compressobj(9, wbits=-15), 1 << 20
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"\0" * step) + packer.flush(zlib.Z_FULL_FLUSH)
    body = first + block * (size // step) + packer.flush()
    raw = name.encode()
    total = len(head) + size // step * step
    # The checksum is wrong: memory is taken before anybody can know.
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, len(body), total, len(raw), 0)
    local = b"PK\3\4" + fields + raw + body
    central = b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
