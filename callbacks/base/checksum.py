"""The checksum that a checkpoint carries of its own content, and the one reader of such files, which compares it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import torch

CHECKSUM = "content_crc32"  # the key of a checkpoint, and the number over all of its other keys
LARGEST = 1e12  # of a weight that training leaves; a flipped bit of an exponent makes it 1e30


def checksum(content: Mapping[Any, Any]) -> int:
    """CRC-32 over names, types, shapes and bytes of everything in a checkpoint but the checksum itself."""
    return _crc({key: value for key, value in content.items() if key != CHECKSUM}, 0)


def with_checksum(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """What is written to a file of ``torch.save``."""
    return {**content, CHECKSUM: checksum(content)}


def _crc(value: Any, crc: int) -> int:
    if isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous()
        crc = zlib.crc32(f"{data.dtype}{tuple(data.shape)}".encode(), crc)
        return zlib.crc32(data.reshape(-1).view(torch.uint8).numpy().data, crc) if data.numel() else crc
    if isinstance(value, Mapping):
        for key, member in value.items():
            crc = _crc(member, zlib.crc32(repr(key).encode(), crc))
        return crc
    if isinstance(value, list | tuple):
        for member in value:
            crc = _crc(member, zlib.crc32(b",", crc))
        return crc
    plain = isinstance(value, str | bytes | int | float | None)
    return zlib.crc32((repr(value) if plain else type(value).__name__).encode(), crc)


class DamagedFileError(ValueError):
    """A file of ``torch.save`` whose content is not what was written. The text goes on behind the name of the file."""


def read_saved(path: Any, *, mapped: bool = False) -> Any:
    """The plain data and tensors in a file of ``torch.save``, on the CPU.

    ``mapped``: tensors stay in the file until they are used. Raises DamagedFileError where the content is another than
    was written, and whatever torch raises for a file that is something else.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    if fault := _damage(path, content):
        raise DamagedFileError(fault)
    return content


def _damage(path: Any, content: Any) -> str:
    """What is wrong with the content that was read from a file of ``torch.save``; '' where nothing is.

    Of files from before there were checksums, and of others, no weight may be larger than ``LARGEST``; weights that are
    not finite are left to who judges them, since a run that diverged may have saved some. Files older than torch 1.6
    are no archives, whose records have checksums of their own."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if record := archive.testzip():
                return f"is damaged ('{record}' does not match its checksum)"
    if not isinstance(content, Mapping):
        return ""
    if CHECKSUM in content:
        same = content[CHECKSUM] == checksum(content)
        return "" if same else "was changed after it was written (its checksum differs)"
    state = content.get("state_dict", content)
    for name, value in state.items() if isinstance(state, Mapping) else ():
        if isinstance(value, torch.Tensor) and _holds_numbers(value):
            largest = value.abs().max().item()
            if LARGEST < largest < float("inf"):
                return f"holds a weight of {largest:.3g} in {name}, which no training leaves: it is damaged"
    return ""


def _holds_numbers(value: torch.Tensor) -> bool:
    """Whether a tensor's values can be looked at: sparse ones and those without memory are no weights, and
    are refused where weights are taken from the file."""
    return value.is_floating_point() and value.numel() > 0 and value.layout is torch.strided and not value.is_meta
