"""Arrays on disk: what a header declares is not believed."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wotempo.errors import UserError
from wotempo.navsim import ScoreTable, read_anchors, write_anchors
from wotempo.navsim.arrays import LARGEST_MEMBER, map_array, read_array, read_arrays
from wotempo.navsim.scores import pack_scores, write_packed_table

ANCHORS = np.random.default_rng(0).normal(size=(5, 8, 3)).astype(np.float32)


def npy(array: np.ndarray, **declared: object) -> bytes:
    """An .npy file whose header says something else."""
    buffer = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(buffer, header | declared)  # type: ignore[arg-type]
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize("array", [ANCHORS, np.asfortranarray(ANCHORS), np.zeros((0, 3)), np.array(2.5)], ids=str)
def test_a_whole_array_reads_as_numpy_reads_it(array: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "a.npy", array)
    for read in (read_array, map_array):
        found = read(tmp_path / "a.npy")
        np.testing.assert_array_equal(found, array)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)


DAMAGED = {
    "empty": b"",
    "cut": npy(ANCHORS)[:-1],
    "larger than any memory": npy(ANCHORS, shape=(10**15, 8, 3)),
    "larger than any number": npy(ANCHORS, shape=(10**30, 10**30)),
    "negative": npy(ANCHORS, shape=(-5, 8, 3)),
    "objects": npy(ANCHORS, descr="|O"),
    "values of no size": npy(ANCHORS, descr="|S0", shape=(10**12,)),
    "no header": b"\x93NUMPY\x01\x00\x08\x00{'descr'",
    "a header of code": b"\x93NUMPY\x01\x00\x10\x00" + b"__import__('os')",
    "a header of brackets": b"\x93NUMPY\x01\x00\xe8\x03" + b"[" * 1000,
    "version 9": b"\x93NUMPY\x09\x00" + bytes(100),
    "a zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_array_is_a_value_error_and_takes_no_memory(damage: str, tmp_path: Path):
    (tmp_path / "a.npy").write_bytes(DAMAGED[damage])
    tracemalloc.start()
    for read in (read_array, map_array):
        with pytest.raises(ValueError, match="it "):
            read(tmp_path / "a.npy")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    with pytest.raises(UserError, match=r"a\.npy: cannot be read as a \.npy array of anchors"):
        read_anchors(tmp_path / "a.npy")


def test_arrays_of_an_archive(tmp_path: Path):
    np.savez_compressed(tmp_path / "a.npz", one=ANCHORS, two=np.array(["a", "bc"]))
    found = read_arrays(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["one"], ANCHORS)
    assert found["two"].tolist() == ["a", "bc"]


def test_an_archive_that_unpacks_to_gigabytes_is_refused_by_its_directory(tmp_path: Path):
    """Zeros shrink to a thousandth: 4 GB would be 3.9 MB."""
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("one.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy(np.zeros(0), shape=(LARGEST_MEMBER // 8,)))
        for _ in range(LARGEST_MEMBER >> 20):
            member.write(bytes(1 << 20))
    assert (tmp_path / "a.npz").stat().st_size < 1e6
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"one\.npy unpacks to \d+ bytes, more than {LARGEST_MEMBER}"):
        read_arrays(tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def archive_of(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.npy", content)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_array_in_an_archive_is_a_value_error(damage: str, tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(archive_of(DAMAGED[damage]))
    with pytest.raises(ValueError, match="it is no whole"):
        read_arrays(tmp_path / "a.npz")


def test_a_damaged_archive_is_a_value_error_wherever_it_is_damaged(tmp_path: Path):
    whole = archive_of(npy(ANCHORS))
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        (tmp_path / "a.npz").write_bytes(damaged[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.3 else damaged)
        with contextlib.suppress(ValueError):
            read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (np.full((5, 8, 3), "left"), "holds <U4, anchors are numbers"),
        (np.zeros((5, 8, 3), complex), "holds complex128, anchors are numbers"),
        (np.zeros((5, 8, 3), bool), "holds bool, anchors are numbers"),
        (ANCHORS[0], r"need the shape \(N, 8, 3\), found \(8, 3\)"),
        (np.zeros((5, 16, 3)), r"found \(5, 16, 3\); at 10 Hz they have \(N, 40, 3\)"),
        (np.full((5, 8, 3), 1e9), "not finite or beyond"),
        (np.full((5, 8, 3), -np.inf), "not finite"),
    ],
)
def test_anchors_that_are_none_are_named(content: np.ndarray, match: str, tmp_path: Path):
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(UserError, match=rf"a\.npy: .*{match}"):
        read_anchors(tmp_path / "a.npy")


def test_anchors_at_ten_hertz_are_taken_at_two_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    time = np.arange(1, 41) * 0.1
    dense = np.stack([np.stack([speed * time, 0 * time, 0 * time], -1) for speed in (1.0, 5.0)])
    np.save(tmp_path / "dense.npy", dense)
    found = read_anchors(tmp_path / "dense.npy")
    assert found.shape == (2, 8, 3)
    np.testing.assert_allclose(found[1, :, 0], 5 * 0.5 * np.arange(1, 9), rtol=1e-6)
    assert "dense.npy: anchors at 10 Hz; every 5th pose is taken" in capsys.readouterr().out
    write_anchors(tmp_path / "a.npy", found)
    np.testing.assert_array_equal(read_anchors(tmp_path / "a.npy"), found)
    assert capsys.readouterr().out == ""


def flags_of(value: int) -> Callable[[Path], None]:
    return lambda table: np.save(table / "flags.npy", np.full((2, 4), value, np.uint8))


def progress_of(value: float, dtype: type = np.float16) -> Callable[[Path], None]:
    return lambda table: np.save(table / "progress.npy", np.full((2, 4), value, dtype))


@pytest.mark.parametrize(
    ("damage", "match"),
    {
        "collision of 1.5": (flags_of(0b11111), "scores that are none"),
        "a sixth bit": (flags_of(0b100001), "scores that are none"),
        "progress NaN": (progress_of(np.nan), "scores that are none"),
        "progress above 1": (progress_of(1.01), "scores that are none"),
        "progress below 0": (progress_of(-0.5), "scores that are none"),
        "progress in other numbers": (progress_of(0.5, np.float32), "scores that are none"),
        "tokens that are numbers": (
            lambda table: (table / "index.json").write_text(
                '{"tokens": [1, 2], "anchors_fingerprint": "a", "scorer_version": "b"}'
            ),
            "not a complete score table",
        ),
        "a fingerprint that is none": (
            lambda table: (table / "index.json").write_text(
                '{"tokens": ["1", "2"], "anchors_fingerprint": null, "scorer_version": "b"}'
            ),
            "not a complete score table",
        ),
        "brackets": (lambda table: (table / "index.json").write_text("[" * 100_000), "nested too deeply"),
        "a part of 0 bytes": (lambda table: (table / "flags.npy").write_bytes(b""), "not a complete score table"),
    }.values(),
)
def test_a_table_of_scores_that_are_none_is_named(damage: Callable[[Path], None], match: str, tmp_path: Path):
    scores = np.tile(np.array([1.0, 1, 0.0, 1, 1])[None, :, None], (2, 1, 4))
    write_packed_table(tmp_path / "table", ["a", "b"], *pack_scores(scores), "f" * 16, "1")
    ScoreTable.open(tmp_path / "table")
    damage(tmp_path / "table")
    with pytest.raises(UserError, match=rf"table: .*{match}"):
        ScoreTable.open(tmp_path / "table")


def test_a_table_with_progress_of_minus_zero_is_whole(tmp_path: Path):
    write_packed_table(tmp_path / "t", ["a"], np.zeros((1, 4), np.uint8), np.full((1, 4), -0.0, np.float16), "f", "1")
    assert len(ScoreTable.open(tmp_path / "t")) == 1
