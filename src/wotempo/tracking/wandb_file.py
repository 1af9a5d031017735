"""Reader of ``run-<id>.wandb``, the file in which wandb keeps an offline run.

wandb 0.31 reads such files only in its compiled service. The layout is that of LevelDB's log
(https://github.com/google/leveldb/blob/main/doc/log_format.md) behind a header of seven bytes, with zlib's CRC; each
record is a protocol buffer of wandb's own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wotempo.errors import UserError

MAGIC = b":W&B\xe1\xbe\x00"
BLOCK = 32768
PART = struct.Struct("<IHB")  # CRC, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def payloads(data: bytes) -> Iterator[bytes]:
    """The records, up to the first one that is cut off or damaged: a killed process leaves such an end."""
    position, whole = len(MAGIC), b""
    while position + PART.size <= len(data):
        if (left := BLOCK - position % BLOCK) < PART.size:
            position += left  # padding
            continue
        checksum, length, kind = PART.unpack_from(data, position)
        position += PART.size
        part = data[position : position + length]
        if zlib.crc32(part, zlib.crc32(bytes([kind]))) != checksum:
            return
        position += length
        whole = part if kind in (FULL, FIRST) else whole + part
        if kind in (FULL, LAST):
            yield whole


def records(file: Path) -> list[Any]:
    """``wandb_internal_pb2.Record`` in the order in which they were written."""
    from wandb.proto import wandb_internal_pb2

    data = file.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        raise UserError(f"{file} is no file of a wandb run, or of a version that is not known here: remove its folder")
    kind: Any = vars(wandb_internal_pb2)["Record"]  # made at import: no type checker sees it
    return [kind.FromString(payload) for payload in payloads(data)]
