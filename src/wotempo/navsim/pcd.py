"""Merged LiDAR clouds: PCD v0.7, binary, 15-byte records.

On disk the fields are x y z intensity lidar_info ring; in memory NAVSIM orders them x, y, z, intensity, ring, id.
Coordinates are metres in the ego frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes, write_bytes

_MEMORY_ORDER = ("x", "y", "z", "intensity", "ring", "lidar_info")
_RECORD = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1"), ("lidar_info", "u1"), ("ring", "u1")]
)
LONGEST_HEADER = 4096  # bytes
_HEADER = """\
# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z intensity lidar_info ring
SIZE 4 4 4 1 1 1
TYPE F F F U U U
COUNT 1 1 1 1 1 1
WIDTH {points}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {points}
DATA binary
"""


def read_pcd(path: Path) -> np.ndarray:
    """(6, n) float32: x, y, z [m, ego frame], intensity, ring, lidar id.

    The ids 0…4 are the top, side-left, side-right, back and front sensor.
    Raises UserError naming the file when it is missing, truncated or of another kind. Bytes after the last record are
    ignored, as the official reader does.
    """
    data = read_bytes(path)
    try:
        record, points, start = _parse_header(data)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"{path}: not a binary PCD v0.7 file ({error})") from error
    if missing := set(_MEMORY_ORDER) - set(record.names or ()):
        raise UserError(f"{path}: the PCD lacks the fields {sorted(missing)}")
    present = (len(data) - start) // record.itemsize
    if present < points:
        raise UserError(f"{path}: truncated, {present} of {points} points; fetch it again")
    records = np.frombuffer(data, record, points, start)
    cloud = np.empty((6, points), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # a point that is none lies in no cell
        for row, name in enumerate(_MEMORY_ORDER):
            cloud[row] = records[name]
    return cloud


def write_pcd(path: Path, xyz: np.ndarray, intensity: np.ndarray, lidar_id: np.ndarray, ring: np.ndarray) -> None:
    """Write n points atomically: xyz (n, 3) float32 [m, ego frame]; intensity, lidar_id, ring (n,) uint8.

    Raises ValueError for unequal lengths, UserError when the disk is full.
    """
    if not len(xyz) == len(intensity) == len(lidar_id) == len(ring):
        raise ValueError("xyz, intensity, lidar_id and ring need one entry per point")
    records = np.empty(len(xyz), _RECORD)
    records["x"], records["y"], records["z"] = xyz[:, 0], xyz[:, 1], xyz[:, 2]
    records["intensity"], records["lidar_info"], records["ring"] = intensity, lidar_id, ring
    write_bytes(path, _HEADER.format(points=len(xyz)).encode() + records.tobytes())


def _parse_header(data: bytes) -> tuple[np.dtype, int, int]:
    """(record type, number of points, offset of the first record)."""
    header: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in header:
        end = data.index(b"\n", start, LONGEST_HEADER)
        words = data[start:end].decode("ascii").split()
        start = end + 1
        if words and not words[0].startswith("#"):
            header[words[0]] = words[1:]
    if header["DATA"] != ["binary"]:
        raise ValueError(f"DATA is {' '.join(header['DATA'])!r}, expected 'binary'")
    if set(header["COUNT"]) != {"1"}:
        raise ValueError("COUNT must be 1 for every field")
    kinds = {"F": "f", "U": "u", "I": "i"}
    fields = zip(header["FIELDS"], header["TYPE"], header["SIZE"], strict=True)
    record = np.dtype([(name, f"<{kinds[kind]}{int(size)}") for name, kind, size in fields])
    if (points := int(header["POINTS"][0])) < 0:
        raise ValueError(f"POINTS is {points}")
    return record, points, start
