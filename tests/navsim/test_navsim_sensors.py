"""Point clouds and images, whole and damaged."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wotempo.errors import UserError
from wotempo.navsim.images import read_image, write_image
from wotempo.navsim.pcd import read_pcd, write_pcd


def road_picture(height: int = 270, width: int = 480) -> np.ndarray:
    """Smooth enough for JPEG to keep it to a few grey levels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, 127 + 100 * np.sin(x / 40)], -1).astype(np.uint8)


@pytest.fixture
def cloud_path(golden_root: Path) -> Path:
    return next(golden_root.glob("sensor_blobs/golden/*/MergedPointCloud/*.pcd"))


def test_a_cloud_reads_as_its_bytes_say(cloud_path: Path):
    body = cloud_path.read_bytes().split(b"DATA binary\n", 1)[1]
    expected = np.array(list(struct.iter_unpack("<fffBBB", body)), np.float32)  # x y z intensity lidar_info ring
    cloud = read_pcd(cloud_path)
    assert cloud.shape == (6, 2000)
    assert cloud.dtype == np.float32
    np.testing.assert_array_equal(cloud.T, expected[:, [0, 1, 2, 3, 5, 4]])
    assert set(np.unique(cloud[5])) <= {0, 1, 2, 3, 4}


def rewrite(source: Path, target: Path) -> None:
    x, y, z, intensity, ring, lidar_id = read_pcd(source)
    write_pcd(target, np.stack([x, y, z], 1), *(part.astype(np.uint8) for part in (intensity, lidar_id, ring)))


def test_a_cloud_is_written_byte_for_byte_as_the_official_one(cloud_path: Path, tmp_path: Path):
    rewrite(cloud_path, tmp_path / "x.pcd")
    assert (tmp_path / "x.pcd").read_bytes() == cloud_path.read_bytes()


@pytest.mark.shared
def test_all_reference_sensors_are_whole(shared_dir: Path, tmp_path: Path):
    root = shared_dir / "golden/navsim/sensor_blobs"
    clouds, pictures = sorted(root.rglob("*.pcd")), sorted(root.rglob("*.jpg"))
    assert (len(clouds), len(pictures)) == (7, 21)
    for path in clouds:
        rewrite(path, tmp_path / "x.pcd")
        assert (tmp_path / "x.pcd").read_bytes() == path.read_bytes()
    assert {read_image(path).shape for path in pictures} == {(1080, 1920, 3)}


def test_fields_are_found_by_name_and_trailing_bytes_are_ignored(cloud_path: Path, tmp_path: Path):
    header = (
        b"# another order, another size\nVERSION 0.7\nFIELDS ring z y x intensity lidar_info\nSIZE 2 4 4 8 1 1\n"
        b"TYPE U F F F U U\nCOUNT 1 1 1 1 1 1\nWIDTH 1\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1\nDATA binary\n"
    )
    (tmp_path / "x.pcd").write_bytes(header + struct.pack("<HffdBB", 300, 3.0, 2.0, 1.0, 9, 4) + b"rest")
    np.testing.assert_array_equal(read_pcd(tmp_path / "x.pcd")[:, 0], [1, 2, 3, 9, 300, 4])


def test_an_empty_cloud(tmp_path: Path):
    none = np.zeros(0, np.uint8)
    write_pcd(tmp_path / "x.pcd", np.zeros((0, 3), np.float32), none, none, none)
    assert read_pcd(tmp_path / "x.pcd").shape == (6, 0)


def test_a_damaged_cloud_is_named(cloud_path: Path, tmp_path: Path):
    data = cloud_path.read_bytes()
    path = tmp_path / "x.pcd"
    cases = {
        "truncated, 1999 of 2000 points": data[:-1],
        "truncated, 0 of 2000 points": data[: data.index(b"DATA binary\n") + 12],
        "not a binary PCD": data[:100],
        "DATA is 'ascii'": data.replace(b"DATA binary", b"DATA ascii"),
        "DATA is 'binary_compressed'": data.replace(b"DATA binary", b"DATA binary_compressed"),
        r"lacks the fields \['ring'\]": data.replace(b"lidar_info ring", b"lidar_info rink"),
        "COUNT must be 1": data.replace(b"COUNT 1 1 1 1 1 1", b"COUNT 1 1 1 1 1 3"),
        "is empty": b"",
        "POINTS is -1": data.replace(b"POINTS 2000", b"POINTS -1"),
        r"not a binary PCD v0\.7 file \(subsection not found": b"#\n" * 100_000 + data,
        r"truncated, \d+ of 1000000000000 points": data.replace(b"POINTS 2000", b"POINTS 1000000000000"),
        "data type": data.replace(b"SIZE 4 4 4 1 1 1", b"SIZE 4 4 0 1 1 1"),
    }
    for match, content in cases.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"x\.pcd: .*{match}"):
            read_pcd(path)
    with pytest.raises(UserError, match=r"none\.pcd: cannot be read"):
        read_pcd(tmp_path / "none.pcd")


def test_unequal_columns_of_a_cloud_are_refused(tmp_path: Path):
    two, three = np.zeros(2, np.uint8), np.zeros(3, np.uint8)
    with pytest.raises(ValueError, match="one entry per point"):
        write_pcd(tmp_path / "x.pcd", np.zeros((3, 3)), three, two, three)


def test_a_picture_keeps_its_channels(tmp_path: Path):
    picture = road_picture()
    write_image(tmp_path / "x.jpg", picture, quality=95)
    read = read_image(tmp_path / "x.jpg")
    assert (read.shape, read.dtype, read.flags.writeable) == (picture.shape, np.uint8, True)
    assert np.abs(read.astype(int) - picture).mean() < 2


# Pillow alone takes a zero-filled picture with optimised tables for whole.
@pytest.mark.parametrize("kind", [{}, {"progressive": True}, {"optimize": True}], ids=str)
def test_a_cut_picture_is_refused_wherever_it_was_cut(tmp_path: Path, kind: dict[str, bool]):
    texture = np.random.default_rng(0).integers(-40, 40, (270, 480, 1))
    picture = np.clip(road_picture() + texture, 0, 255).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "whole.jpg", quality=90, **kind)
    data = (tmp_path / "whole.jpg").read_bytes()
    read_image(tmp_path / "whole.jpg")
    path = tmp_path / "x.jpg"
    for end in [1, 2, 10, *np.linspace(20, len(data) - 2, 30).astype(int), len(data) - 1]:
        # cut off, and cut off in a file that the download had filled with zeros
        for tail in (b"", bytes(len(data) - end)):
            path.write_bytes(data[:end] + tail)
            with pytest.raises(UserError, match=r"x\.jpg: (truncated|not)"):
                read_image(path)


def test_bytes_after_a_picture_do_no_harm(tmp_path: Path):
    write_image(tmp_path / "x.jpg", road_picture())
    expected = read_image(tmp_path / "x.jpg")
    with (tmp_path / "x.jpg").open("ab") as file:
        file.write(bytes(7) + b"trailer")
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg"), expected)


def with_size(data: bytes, height: int, width: int) -> bytes:
    """The JPEG with another size in its header."""
    frame = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


@pytest.mark.parametrize("size", [(65000, 65000), (9000, 9000), (65500, 1080)])
def test_a_picture_that_declares_another_size_is_refused_before_memory_is_taken(tmp_path: Path, size: tuple[int, int]):
    write_image(tmp_path / "x.jpg", road_picture())
    (tmp_path / "x.jpg").write_bytes(with_size((tmp_path / "x.jpg").read_bytes(), *size))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"x\.jpg: (a JPEG of|truncated or corrupt JPEG)"):
        read_image(tmp_path / "x.jpg")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_a_picture_that_unpacks_to_gigabytes_is_refused_by_its_header(tmp_path: Path):
    """Of one colour: 24,000 × 24,000 pixels would be 2.6 MB and unpack to 1.7 GB."""
    Image.new("RGB", (6000, 6000)).save(tmp_path / "x.jpg", quality=10)
    with pytest.raises(UserError, match=r"x\.jpg: a JPEG of 6000×6000 = 36000000 pixels; no camera makes it"):
        read_image(tmp_path / "x.jpg")


def test_a_picture_of_too_many_scans_is_refused(tmp_path: Path):
    write_image(tmp_path / "x.jpg", road_picture())
    data = (tmp_path / "x.jpg").read_bytes()
    scan = data[data.index(b"\xff\xda") : -2]
    (tmp_path / "x.jpg").write_bytes(data[:-2] + 101 * scan + data[-2:])
    with pytest.raises(UserError, match=r"x\.jpg: a JPEG"):
        read_image(tmp_path / "x.jpg")


def test_other_pictures_are_refused(tmp_path: Path):
    Image.fromarray(road_picture()).save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"x\.png: truncated or corrupt JPEG"):
        read_image(tmp_path / "x.png")
    Image.fromarray(road_picture()[..., 0]).save(tmp_path / "grey.jpg")
    with pytest.raises(UserError, match=r"grey\.jpg: a L image, expected RGB"):
        read_image(tmp_path / "grey.jpg")
