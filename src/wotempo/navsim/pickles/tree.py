"""The check of what a pickle left: every array in its place, and nothing that grows when it is walked through.

A list that holds one list twice, and so on forty times, takes a hundred bytes in a file and the memory of every
machine once something copies or prints it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wotempo.navsim.pickles.scan import Refused

DEPTH = 64  # containers within containers; a log has seven
GROWTH = 64  # elements of all containers, shared ones counted where they are held, per byte of the file
_PLAIN = frozenset((str, int, float, bool, bytes, bytearray, type(None)))
_CONTAINERS = frozenset((dict, list, tuple))
_OPEN = -1


class Held:
    """An object that is released once what it holds is known. Unhashable: it can be no key."""

    __slots__ = ()

    def held(self) -> list[Any]:
        raise NotImplementedError

    def released(self, items: list[Any]) -> Any:
        """The object that takes its place; ``items``: what ``held`` returned, released."""
        raise NotImplementedError


def settled(root: Any, file_bytes: int) -> Any:
    """``root`` with what it holds in place of every ``Held``. Raises Refused for anything but plain data, and where it
    is nested deeper or has more elements than a file of so many bytes honestly holds."""
    return _Walk(GROWTH * file_bytes).visit(root, 0)[0]


def check_growth(root: Any, file_bytes: int) -> Any:
    """``settled`` for what holds no ``Held``."""
    if type(root) in _CONTAINERS:
        _Growth(GROWTH * file_bytes).elements(root, 0)
    elif type(root) not in _PLAIN and not isinstance(root, np.ndarray | np.generic | set | frozenset):
        raise Refused(f"it holds a {type(root).__name__}")
    return root


class _Growth:
    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[int, int] = {}

    def elements(self, node: Any, depth: int) -> int:
        nodes = node.values() if type(node) is dict else node
        if _CONTAINERS.isdisjoint(map(type, nodes)):
            return len(nodes)
        if (known := self.known.get(id(node))) is not None:
            return known
        if depth > DEPTH:
            raise Refused(f"it nests more than {DEPTH} containers, or one holds itself")
        elements = len(nodes)
        for held in nodes:
            if type(held) in _CONTAINERS:
                elements += self.elements(held, depth + 1)
        if elements > self.most:
            raise Refused("its containers hold one another so often that they would fill the memory")
        self.known[id(node)] = elements
        return elements


class _Walk:
    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[int, tuple[Any, int, Any]] = {}  # id -> (what took its place, elements, the object itself)

    def visit(self, node: Any, depth: int) -> tuple[Any, int]:
        kind = type(node)
        if kind in _PLAIN:
            return node, 1
        if (known := self.known.get(id(node))) is not None:
            if known[1] == _OPEN:
                raise Refused("it holds a container that holds itself")
            return known[:2]
        if depth > DEPTH:
            raise Refused(f"it nests more than {DEPTH} containers")
        self.known[id(node)] = (node, _OPEN, node)
        whole, elements = self._of(node, kind, depth + 1)
        if elements > self.most:
            raise Refused("its containers hold one another so often that they would fill the memory")
        self.known[id(node)] = (whole, elements, node)
        return whole, elements

    def _of(self, node: Any, kind: type, depth: int) -> tuple[Any, int]:
        if isinstance(node, dict):
            items, elements = self._items(list(node.values()), depth)
            if items is not None:
                node.update(zip(node, items, strict=True))
            return node, elements
        if kind is list:
            items, elements = self._items(node, depth)
            if items is not None:
                node[:] = items
            return node, elements
        if kind is tuple:
            items, elements = self._items(node, depth)
            return node if items is None else tuple(items), elements
        if isinstance(node, Held):
            held = node.held()
            items, elements = self._items(held, depth)
            return node.released(held if items is None else items), elements
        if kind in (set, frozenset) and _PLAIN.issuperset(map(type, node)):
            return node, len(node)
        raise Refused(f"it holds a {kind.__name__}")

    def _items(self, nodes: Any, depth: int) -> tuple[list[Any] | None, int]:
        """The nodes in their places, None where they are plain; and how many elements they are."""
        if _PLAIN.issuperset(map(type, nodes)):
            return None, len(nodes) + 1
        found = [self.visit(node, depth) for node in nodes]
        return [whole for whole, _ in found], 1 + sum([elements for _, elements in found])
