"""Classes that are found by the file that defines them, so that adding one means adding a file."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module


def found_by_file(package: str, wanted: Callable[[type], bool], plural: str) -> dict[str, type]:
    """Name of a file of ``package`` (which is being imported, or was) -> the class in it that is ``wanted``.

    A file may define none. TypeError where a file defines two; ``plural`` is what the message calls them.
    """
    found: dict[str, type] = {}
    for file in pkgutil.iter_modules(sys.modules[package].__path__):
        module = import_module(f"{package}.{file.name}")
        own = [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]
        made = [kind for kind in own if not inspect.isabstract(kind) and wanted(kind)]
        if len(made) > 1:
            names = " and ".join(kind.__name__ for kind in made)
            raise TypeError(f"{module.__file__} defines the {plural} {names}: give each a file of its own")
        if made:
            found[file.name] = made[0]
    return found
