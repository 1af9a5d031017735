"""Classes that are found by the file that defines them, so that adding one means adding a file."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def found_by_file(package: str, wanted: Callable[[type], bool], plural: str) -> dict[str, type]:
    """Name of a file of ``package`` (which is being imported, or was) -> the class in it that is ``wanted``.

    A file may define none. TypeError where a file defines two; ``plural`` is what the message calls them.
    """
    found: dict[str, type] = {}
    for file in pkgutil.iter_modules(sys.modules[package].__path__):
        module = import_module(f"{package}.{file.name}")
        made = defined_in(module, wanted)
        if len(made) > 1:
            names = " and ".join(kind.__name__ for kind in made)
            raise TypeError(f"{module.__file__} defines the {plural} {names}: give each a file of its own")
        if made:
            found[file.name] = made[0]
    return found


def defined_in(module: ModuleType, wanted: Callable[[type], bool]) -> list[type]:
    """The classes that ``module`` itself defines, abstract ones left out, and that are ``wanted``."""
    own = [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]
    return [kind for kind in own if not inspect.isabstract(kind) and wanted(kind)]
