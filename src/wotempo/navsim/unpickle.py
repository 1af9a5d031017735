"""A pickle reader that builds numpy arrays and plain containers and refuses everything else.

Log pickles come from the internet, and an ordinary ``pickle.load`` runs whatever code they name. Here the bytes are
looked through first. Where they do only what pickles of arrays do (``pickles.proof``), numpy's constructors follow
them. Otherwise (``pickles.scan``) every name that they may call leads to a constructor of this file, which checks its
arguments; numpy's own would believe a forged type or shape and read foreign memory. numpy 1 calls the home of its
functions ``numpy.core``, numpy 2 ``numpy._core``.
"""

from __future__ import annotations

import codecs
import io
import pickle
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.files import read_bytes
from wotempo.navsim.pickles.proof import FRAME, MOST_EMPTY, NO, SHARED, proof
from wotempo.navsim.pickles.scan import Refused, check, unframed
from wotempo.navsim.pickles.tree import Held, check_growth, settled

_CODE = re.compile(r"[|<>=]?(?:b1|[iu][1248]|f[248]|[SU]\d{1,4}|O8?)")  # numpy's names of types
_ORDERS = ("|", "<", ">", "=")


class _Name:
    """What a pickle may call. It has no state that a pickle could change."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._build(*arguments)
        except (TypeError, AttributeError) as error:
            raise Refused(f"it calls a constructor with other arguments than numpy does ({error})") from None

    def __setstate__(self, state: Any) -> NoReturn:
        raise Refused("it changes what it calls")


def _dtype(code: Any) -> np.dtype:
    if type(code) is not str or not _CODE.fullmatch(code):
        raise Refused(f"it holds an array of {str(code)[:20]!r}; known are truth values, numbers, text and objects")
    return np.dtype(code, copy=True)


class _Type:
    """``numpy.dtype`` in a pickle: a whitelisted type, and later its byte order."""

    __slots__ = ("dtype",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = _dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields, size = state[:6]
        if order not in _ORDERS or subarray is not None or names is not None or fields is not None:
            raise Refused("it holds an array of records, or of a forged type")
        if self.dtype.kind in "SU" and size != self.dtype.itemsize:
            raise Refused(f"it says that {self.dtype} takes {size!r} bytes")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(Held):
    """An array or a scalar in a pickle, until the whole is read."""

    __slots__ = ("items", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.items: list[Any] = []  # of an array of objects, which may be held themselves

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self.value is not None:
            raise Refused("it sets an array twice")
        _, shape, kind, fortran, content = state
        self.value = _array(content, kind, shape, "F" if fortran else "C")
        self.items = content if self.value.dtype.hasobject else []

    def held(self) -> list[Any]:
        return self.items

    def released(self, items: list[Any]) -> Any:
        if self.value is None:
            raise Refused("it holds an array without content")
        for place, item in enumerate(items):
            self.value.reshape(-1, order="A")[place] = item
        return self.value


def _array(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    """A read-only array over the bytes of ``content``; of objects an empty one of that shape."""
    dtype = kind.dtype if type(kind) is _Type else kind
    if not isinstance(dtype, np.dtype) or type(shape) is not tuple or order not in ("C", "F"):
        raise Refused("it holds an array of a forged type, shape or order")
    count = rows = 1
    for length in shape:
        if type(length) is not int or length < 0:
            raise Refused(f"it holds an array with an axis of {length!r} elements")
        count, rows = count * length, rows * max(length, 1)
    if not (count and dtype.itemsize) and rows > MOST_EMPTY:
        raise Refused(f"it holds an array of {rows} rows without elements")
    if dtype.hasobject:
        if type(content) is not list or len(content) != count:
            raise Refused("it holds an array of objects that are not a list of as many")
        return np.empty(shape, object, order)  # type: ignore[call-overload]
    if type(content) is not bytes and type(content) is not bytearray:
        raise Refused("it holds an array that is not made of bytes")
    if len(content) != count * dtype.itemsize:
        raise Refused(f"it holds {len(content)} bytes for {count} elements of {dtype.itemsize} bytes")
    return np.ndarray(shape, dtype, content, order=order)  # type: ignore[arg-type]


def _empty(kind: Any, *_: Any) -> None:
    if kind is not _NDARRAY:
        raise Refused("it builds an array of another class")


def _reconstruct(kind: Any, *_: Any) -> _Array:
    _empty(kind)
    return _Array()


def _latin1(text: str, encoding: str) -> bytes:
    """What ``_codecs.encode`` does in a protocol-2 pickle: carry bytes as latin-1 text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _plain(kind: type, *given: type) -> Callable[..., Any]:
    """The constructor of a builtin class from nothing, or from one of the ``given``."""

    def build(*arguments: Any) -> Any:
        if len(arguments) > 1 or (arguments and type(arguments[0]) not in given):
            raise Refused(f"it builds {kind.__name__} of other things than {given[0].__name__}")
        return kind(*arguments)

    return build


def _byte_array(*arguments: Any) -> bytearray:
    if len(arguments) == 2 and type(arguments[0]) is str:
        return bytearray(_latin1(arguments[0], arguments[1].replace("-", "")))
    return _plain(bytearray, bytes)(*arguments)


_NDARRAY = _Name(_empty)  # named only, as the first argument of _reconstruct


def _scalar(*arguments: Any) -> _Array:
    return _Array(_array(arguments[1], arguments[0], (), "C")[()])


def _from_buffer(*arguments: Any) -> _Array:
    return _Array(_array(*arguments))


def _checked() -> dict[tuple[str, str], _Name]:
    """What may be called, by module and name."""
    plain = {kind.__name__: _Name(_plain(kind, list)) for kind in (set, frozenset, list, tuple)}
    plain |= {"dict": _Name(_plain(dict)), "bytes": _Name(_plain(bytes, bytes)), "bytearray": _Name(_byte_array)}
    arrays = {"_reconstruct": _Name(_reconstruct), "scalar": _Name(_scalar)}
    homes = {
        "numpy": {"ndarray": _NDARRAY, "dtype": _Name(_Type)},
        "_codecs": {"encode": _Name(_latin1)},
        "collections": {"OrderedDict": _Name(_plain(dict, list))},
        "builtins": plain,
        "__builtin__": plain,
    }
    for core in ("numpy.core", "numpy._core"):
        homes |= {f"{core}.multiarray": arrays, f"{core}.numeric": {"_frombuffer": _Name(_from_buffer)}}
    return {(home, name): what for home, names in homes.items() for name, what in names.items()}


_CHECKED = _checked()
# Taken from live objects: the functions' private homes move between numpy versions.
_OWN: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
_OWN |= {("_codecs", "encode"): codecs.encode}  # protocol 2 has no bytes
_OWN |= {(home, "bytes"): bytes for home in ("builtins", "__builtin__")}
for _core in ("numpy.core", "numpy._core"):
    _OWN[f"{_core}.multiarray", "_reconstruct"] = np.empty(0).__reduce__()[0]
    _OWN[f"{_core}.multiarray", "scalar"] = np.float64(0).__reduce__()[0]
    _OWN[f"{_core}.numeric", "_frombuffer"] = np.empty(1).__reduce_ex__(5)[0]


class _Record(dict):
    """An object of a class that is not imported: what its pickle sets, by name."""

    def __init__(self) -> None: ...

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict:
            raise Refused("it sets an object to other things than its attributes")
        self.update(state)


class _Machine(pickle.Unpickler):
    """``names``: what it may call."""

    def __init__(self, data: bytes, names: dict[Any, Any]) -> None:
        file: Any = io.BytesIO(data)
        # Through a buffer it reads many instructions at once, as in a frame.
        super().__init__(file if data[2:3] == FRAME else io.BufferedReader(file, 1 << 15))
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._names:
            raise Refused(f"the pickle asks for {module}.{name}")
        return self._names[module, name]


def load_pickle(path: Path, records: Collection[tuple[str, str]] = ()) -> Any:
    """The object in a pickle of numpy arrays and plain containers, and of objects of the classes ``records`` (module
    and name), which become dicts of their attributes. Arrays may be read-only.

    Raises UserError naming the file (and what it asks for) for anything else, and for missing, truncated or corrupt
    files.
    """
    return unpickle(read_bytes(path), path, records)


def unpickle(data: bytes, path: Path, records: Collection[tuple[str, str]] = ()) -> Any:
    """``load_pickle`` of bytes; ``path`` is what errors name."""
    try:
        if not records and (proved := proof(data)) != NO:
            root = _Machine(data, _OWN).load()
            return check_growth(root, len(data)) if proved == SHARED else root
        data = unframed(data)
        check(data)
        names = {**_CHECKED, **dict.fromkeys(records, _Record)}
        return settled(_Machine(data, names).load(), len(data))
    except Refused as error:
        raise UserError(
            f"{path}: refused, because {error}; the file may hold numpy arrays and plain containers only"
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path}: truncated or corrupt pickle ({str(error)[:200]}); fetch it again") from error
