"""Arrays in .npy and .npz files, read no further than their headers allow.

A header may declare any size, and a few megabytes of a zip may unpack to gigabytes: what is declared is compared with
what is there, and with a limit, before memory is taken.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

LARGEST_MEMBER = 1 << 28  # bytes of one array in an .npz: a part of labels has some 0.1 MB, a vocabulary's 5 MB


class Header(NamedTuple):
    """What an .npy file declares; its values begin at ``start``."""

    shape: tuple[int, ...]
    order: str
    dtype: np.dtype
    start: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """The header at the beginning of an .npy file. ValueError where there is none."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
    except Exception as error:  # numpy evaluates it as a piece of Python, which may fail in any way
        raise ValueError(f"it has no header of an .npy file ({_first_line(error)})") from error
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"it declares the shape {shape}")
    return Header(shape, "F" if fortran else "C", dtype, file.tell())


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file. OSError where it cannot be read, ValueError where it holds objects, or less than it
    declares."""
    with path.open("rb") as file:
        header = _plain_header(file, path.stat().st_size)
        values = np.fromfile(file, header.dtype, math.prod(header.shape))
    return values.reshape(header.shape, order=header.order)  # type: ignore[call-overload]


def map_array(path: Path) -> np.ndarray:
    """As ``read_array``, mapped into memory and read-only."""
    with path.open("rb") as file:
        header = _plain_header(file, path.stat().st_size)
    return np.memmap(path, header.dtype, "r", header.start, header.shape, header.order)  # type: ignore[call-overload]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by their names, read-only. OSError where it cannot be read, ValueError where it is
    none, holds objects, or declares more than ``LARGEST_MEMBER`` of one."""
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {info.filename.removesuffix(".npy"): _member(archive, info) for info in archive.infolist()}
        except Exception as error:  # zipfile and its decompressors have errors of their own
            raise ValueError(f"it is no whole .npz file ({_first_line(error)})") from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    if info.file_size > LARGEST_MEMBER:
        raise ValueError(f"{info.filename} unpacks to {info.file_size} bytes, more than {LARGEST_MEMBER}")
    with archive.open(info) as file:
        header = _plain_header(file, info.file_size)
        values = np.frombuffer(file.read(header.size), header.dtype)
    return values.reshape(header.shape, order=header.order)  # type: ignore[call-overload]


def _plain_header(file: IO[bytes], present: int) -> Header:
    header = read_header(file)
    if header.dtype.hasobject or not header.dtype.itemsize:
        raise ValueError(f"it holds values of the kind {header.dtype}, neither numbers nor text")
    if header.size > present - header.start:
        declared = f"it declares {header.shape} of {header.dtype}, {header.size} bytes"
        raise ValueError(f"{declared}, and holds {present - header.start}")
    return header


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120] or type(error).__name__
