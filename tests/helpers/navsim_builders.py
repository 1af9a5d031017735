"""Small logs, and comparison of records that hold arrays."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from wotempo.navsim import Frame, Log
from wotempo.navsim.schema import CAMERAS, Boxes, Camera

LOG_NAME = "2026.02.03.04.05.06_veh-07_00001_00009"


def make_frame(index: int, timestamp_us: int | None = None, num_boxes: int = 3, **changes: Any) -> Frame:
    rng = np.random.default_rng(index)
    names = np.array(["vehicle", "pedestrian", "traffic_cone"])[np.arange(num_boxes) % 3].astype(np.str_)
    camera = Camera("", np.eye(3)[[2, 0, 1]], rng.normal(size=3), np.diag([1545.0, 1545.0, 1.0]), rng.normal(size=5))
    frame = Frame(
        token=f"{index:016x}",
        frame_idx=index,
        timestamp_us=1_600_000_000_000_000 + 500_000 * index if timestamp_us is None else timestamp_us,
        log_name=LOG_NAME,
        log_token="10" * 8,
        scene_name="log-0001-scene-0000",
        scene_token="5c" * 8,
        map_location="us-nv-las-vegas-strip",
        vehicle_name="veh-07",
        pose=np.array([663000.0 + index, 3995000.0 + rng.normal(), rng.uniform(-3, 3)]),
        height=600.5,
        velocity=rng.normal(size=2),
        acceleration=rng.normal(size=2),
        yaw_rate=0.25 * index,
        command=np.array([0, 1, 0, 0]),
        roadblock_ids=("12", "345"),
        traffic_lights=((7001, True), (7002, False)),
        cameras={name: dataclasses.replace(camera, path=f"{LOG_NAME}/{name}/{index:016x}.jpg") for name in CAMERAS},
        lidar_path=f"{LOG_NAME}/MergedPointCloud/{index:016x}.pcd",
        boxes=Boxes(
            np.abs(rng.normal(size=(num_boxes, 7))),
            names,
            rng.normal(size=(num_boxes, 3)),
            [f"{index:08x}{i:08x}" for i in range(num_boxes)],
            [f"{i:016x}" for i in range(num_boxes)],
        ),
    )
    return dataclasses.replace(frame, **changes)


def make_log(timestamps_s: Sequence[float], name: str = LOG_NAME, **changes: Any) -> Log:
    """A log with frames at these seconds."""
    frames = [
        make_frame(i, 1_600_000_000_000_000 + round(t * 1e6), log_name=name, **changes)
        for i, t in enumerate(timestamps_s)
    ]
    return Log(name, "mini", frames)


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal records; floats to 1e-12 relative (a heading goes through a quaternion)."""
    assert type(a) is type(b), where
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, where
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-15, atol=1e-12, err_msg=where)
        else:
            np.testing.assert_array_equal(a, b, err_msg=where)
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


@contextmanager
def refusing_files_larger_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to write past ``size`` bytes of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
