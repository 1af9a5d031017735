"""Pickles that numpy 1 reads, too: the official tools pin numpy 1.23."""

from __future__ import annotations

import pickle
from typing import Any

_PythonPickler: Any = pickle._Pickler  # the C pickler has no hook for the module of a global
PROTOCOL = 4  # the newest that keeps arrays to numpy's two oldest reconstructors


class LegacyPickler(_PythonPickler):
    """Names numpy's private functions as numpy 1 did."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None) or ""
        if not module.startswith("numpy._core"):
            super().save_global(obj, name)
            return
        self.save(module.replace("numpy._core", "numpy.core", 1))
        self.save(name or obj.__qualname__)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)
