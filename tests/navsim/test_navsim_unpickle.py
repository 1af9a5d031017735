"""A pickle may hold arrays and plain containers; everything else is refused before it runs, damage is named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from wotempo.errors import UserError
from wotempo.navsim.unpickle import load_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Attack:
    """Runs ``function(*arguments)`` in a pickle reader that lets it."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def content() -> dict:
    return {
        "float": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.empty((0, 7)),
        "bool": np.array([True, False]),
        "names": np.array(["vehicle", "pedestrian"]),
        "objects": np.array(["vehicle", "pedestrian"], dtype=object),
        "scalar": np.float64(1.5),
        "integer": np.int64(-3),
        "plain": [(1, True), {"a", "b"}, None, b"\xff\x00", bytearray(b"x"), 2**70, "ä"],
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("home", ["numpy._core", "numpy.core"])
def test_arrays_and_containers_of_both_numpy_generations(tmp_path: Path, protocol: int, home: str):
    class Pickler(pickle._Pickler):
        def save_global(self, obj, name=None):
            module = getattr(obj, "__module__", None) or ""
            if not module.startswith("numpy._core"):
                return super().save_global(obj, name)
            module = module.replace("numpy._core", home)
            if protocol >= 4:
                self.save(module)
                self.save(obj.__name__)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"{module}\n{obj.__name__}\n".encode())
            self.memoize(obj)

    with (tmp_path / "x.pkl").open("wb") as file:
        Pickler(file, protocol).dump(content())
    data = (tmp_path / "x.pkl").read_bytes()
    assert home.encode() in data
    loaded = load_pickle(tmp_path / "x.pkl")
    assert loaded.keys() == content().keys()
    for key, value in content().items():
        assert type(loaded[key]) is type(value), key
        np.testing.assert_array_equal(loaded[key], value) if key != "plain" else None
    assert loaded["plain"] == content()["plain"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_is_refused_and_does_not_run(tmp_path: Path, protocol: int):
    trace = tmp_path / "trace"
    attacks = {
        f"{os.mkdir.__module__}.mkdir": Attack(os.mkdir, str(trace)),
        "builtins.eval|__builtin__.eval": Attack(eval, f"__import__('os').mkdir({str(trace)!r})"),
        "numpy.*.load": Attack(np.load, str(trace), None, True),
        "pathlib": Path("x"),
    }
    path = tmp_path / "x.pkl"
    for name, attack in attacks.items():
        path.write_bytes(pickle.dumps([np.zeros(3), attack], protocol))
        with pytest.raises(UserError, match=rf"x\.pkl: refused, because the pickle asks for ({name})"):
            load_pickle(path)
    assert not trace.exists()


def test_strange_encodings_are_refused(tmp_path: Path):
    import _codecs

    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Attack(_codecs.encode, "x", "rot13"), 2))
    with pytest.raises(UserError, match=r"x\.pkl: truncated or corrupt"):
        load_pickle(tmp_path / "x.pkl")


def test_a_cut_log_is_refused_wherever_it_was_cut(golden_log_path: Path, tmp_path: Path):
    data = golden_log_path.read_bytes()
    path = tmp_path / "cut.pkl"
    for end in [1, 2, 10, *np.linspace(20, len(data) - 1, 25).astype(int)]:
        path.write_bytes(data[:end])
        with pytest.raises(UserError, match=r"cut\.pkl: truncated or corrupt"):
            load_pickle(path)


def test_a_damaged_log_never_raises_anything_but_a_user_error(golden_log_path: Path, tmp_path: Path):
    data = golden_log_path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(40):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 40):
            damaged[position] = rng.integers(256)
        (tmp_path / "x.pkl").write_bytes(damaged)
        try:
            load_pickle(tmp_path / "x.pkl")
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all("x.pkl: " in message for message in messages)


def test_missing_and_empty_files_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"none\.pkl: cannot be read \(No such file"):
        load_pickle(tmp_path / "none.pkl")
    (tmp_path / "empty.pkl").touch()
    with pytest.raises(UserError, match=r"empty\.pkl: is empty"):
        load_pickle(tmp_path / "empty.pkl")
