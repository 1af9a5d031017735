"""Pickles that the official tools read: numpy as version 1 named it, and classes that exist only on their side."""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar

_PythonPickler: Any = pickle._Pickler  # the C pickler has no hook for the module of a global
PROTOCOL = 4  # the newest that keeps arrays to numpy's two oldest reconstructors


def legacy_bytes(value: Any) -> bytes:
    """``value`` pickled. A class with ``official_name = (module, name)`` is written under that name."""
    buffer = io.BytesIO()
    LegacyPickler(buffer, PROTOCOL).dump(value)
    return buffer.getvalue()


class LegacyPickler(_PythonPickler):
    """Names numpy's private functions as numpy 1 did, because the official tools pin numpy 1.23."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None) or ""
        if hasattr(obj, "official_name"):
            module, name = obj.official_name
        elif module.startswith("numpy._core"):
            module, name = module.replace("numpy._core", "numpy.core", 1), name or obj.__qualname__
        else:
            super().save_global(obj, name)
            return
        self.save(module)
        self.save(name)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)

    def save_type(self, obj: Any) -> None:
        if hasattr(obj, "official_name"):
            self.save_global(obj)
        else:
            super().save_type(obj)

    dispatch: ClassVar = {**_PythonPickler.dispatch, type: save_type}
