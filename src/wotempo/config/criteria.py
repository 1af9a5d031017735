"""The acceptance criteria by the name of their class. A criterion is a file of ``callbacks/criteria``: it is found, not
listed, and nothing else is imported or called because a configuration names it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

import callbacks.criteria
from callbacks import Guard
from wotempo.errors import UserError, kinds_wanted, nearest, unknown_key
from wotempo.found_by_file import found_by_file

CLASS = "_target_"  # the key of the class in configs/acceptance and in the folders of runs, a dotted name
_PLAIN = (str, bool, int, float, type(None))


@cache
def criteria() -> dict[str, type[Guard]]:
    """Name of the class -> the class."""
    found = found_by_file(callbacks.criteria.__name__, lambda kind: issubclass(kind, Guard), "criteria")
    return {kind.__name__: kind for kind in found.values()}


def build_criterion(place: str, options: Any) -> Guard:
    """The criterion from its class and plain values; ``place`` is its key in the configuration. UserError that names a
    class which is no criterion, a keyword that it does not take, and a value that is not plain or that it refuses."""
    if not isinstance(options, Mapping) or CLASS not in options:
        raise UserError(f"{place} needs a {CLASS}: the class of the criterion")
    package, _, name = str(options[CLASS]).rpartition(".")
    kind = criteria().get(name) if package == "callbacks" or package.startswith("callbacks.") else None
    if kind is None:
        raise UserError(
            f"{place}.{CLASS} is '{options[CLASS]}', which is no criterion: {nearest(name, criteria())} Give "
            "callbacks.<class>; a criterion of your own is a file of callbacks/criteria (docs/adding_a_criterion.md)"
        )
    values = {key: value for key, value in options.items() if key != CLASS}
    known = inspect.signature(kind).parameters
    hints = get_type_hints(kind.__init__)
    for key, value in values.items():
        if key not in known:
            raise unknown_key(str(key), known, f"{place}.")
        if not _is_plain(value):
            raise UserError(f"{place}.{key} is {str(value)[:60]!r}: set a number, a text, or a list of such")
        if (hint := hints.get(key)) is not None and (names := kinds_wanted(value, hint)):
            raise UserError(f"{place}.{key} is {value!r}, and the criterion takes {names}: set such a value")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {error}") from None


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, list | tuple) and all(isinstance(v, _PLAIN) for v in value))
