"""A pickle reader that builds numpy arrays and plain containers and refuses everything else.

Log pickles come from the internet, and an ordinary ``pickle.load`` runs whatever code they name. The real logs need
five numpy globals; numpy 1 calls their home ``numpy.core``, numpy 2 ``numpy._core``.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes


def _latin1(text: str, encoding: str) -> bytes:
    """What ``_codecs.encode`` does in a protocol-2 pickle: carry bytes as latin-1 text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


# Taken from live objects: the functions' private homes move between numpy versions.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
_FROM_BUFFER = np.empty(1).__reduce_ex__(5)[0]

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): dict,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _RECONSTRUCT
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _SCALAR
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _FROM_BUFFER
for _builtin in (bytes, bytearray, complex, frozenset, set, tuple, list, dict):
    _ALLOWED["builtins", _builtin.__name__] = _builtin
    _ALLOWED["__builtin__", _builtin.__name__] = _builtin


class _Record(dict):
    """An object of a class that is not imported: what its pickle sets, by name."""

    def __setstate__(self, state: Any) -> None:
        self.update(state)


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], path: Path, records: Collection[tuple[str, str]]) -> None:
        super().__init__(file)
        self._path, self._records = path, records

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._records:
            return _Record
        if (module, name) not in _ALLOWED:
            raise UserError(
                f"{self._path}: refused, because the pickle asks for {module}.{name}; "
                "the file may hold numpy arrays and plain containers only"
            )
        return _ALLOWED[module, name]


def load_pickle(path: Path, records: Collection[tuple[str, str]] = ()) -> Any:
    """The object in a pickle of numpy arrays and plain containers, and of objects of the classes ``records`` (module
    and name), which become dicts of their attributes.

    Raises UserError naming the file (and the global) for anything else, and for missing, truncated or corrupt files.
    """
    return unpickle(io.BytesIO(read_bytes(path)), path, records)


def unpickle(file: IO[bytes], path: Path, records: Collection[tuple[str, str]] = ()) -> Any:
    """``load_pickle`` of the rest of an open file; ``path`` is what errors name."""
    try:
        return _RestrictedUnpickler(file, path, records).load()
    except UserError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path}: truncated or corrupt pickle ({error}); fetch it again") from error
