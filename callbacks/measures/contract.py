"""Shape contracts: named dimensions of batch fields and of what goes in and out of modules (syntax: protocol.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from callbacks.base.eager import hookable


class Contract:
    """One reading of a shape contract: names are bound to sizes by their first appearance."""

    def __init__(self, declared: Mapping[str, str], pl_module: nn.Module) -> None:
        self.places = {place: _parse(text) for place, text in declared.items()}
        self.pl_module = pl_module
        self.sizes: dict[str, tuple[int, str]] = {}  # name -> (size, the place that bound it)
        self.seen: set[str] = set()
        self.first_violation = ""
        self._undo: list[Callable[[], None]] = []

    def check_batch(self, batch: Any) -> None:
        self._check("batch", batch)

    def attach(self) -> None:
        """Hook the modules that the contract names."""
        for path in dict.fromkeys(place.split(":")[0] for place in self.places if ":" in place):
            module = self.pl_module.get_submodule(path)
            self._undo.append(hookable(module))
            self._undo.append(module.register_forward_pre_hook(partial(self._before, path), with_kwargs=True).remove)
            self._undo.append(module.register_forward_hook(partial(self._after, path)).remove)

    def detach(self) -> None:
        for undo in self._undo:
            undo()

    def unseen(self) -> str:
        """A place that was never reached is not a place that was checked."""
        missing = [place for place in self.places if place not in self.seen]
        return f"{missing[0]} was declared but never seen (is the module called as a module?)" if missing else ""

    def _before(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._check(f"{path}:in", {**dict(enumerate(args)), **kwargs})

    def _after(self, path: str, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._check(f"{path}:out", output)

    def _check(self, root: str, tree: Any) -> None:
        """All places in ``tree``, which stands at ``root``."""
        for place in self.places:
            if place == root or place.startswith(f"{root}."):
                self.seen.add(place)
                violation = self._compare(place, tree, place.removeprefix(root).split(".")[1:])
                self.first_violation = self.first_violation or violation

    def _compare(self, place: str, tree: Any, path: list[str]) -> str:
        for step in path:
            key: Any = int(step) if step.isdigit() else step
            try:
                tree = tree[key]
            except (KeyError, IndexError, TypeError):
                return f"{place} does not exist"
        if not isinstance(tree, Tensor):
            return f"{place} is a {type(tree).__name__}, not a tensor"
        names, dtype = self.places[place]
        shape = tuple(tree.shape)
        if len(shape) != len(names):
            return f"{place} is {shape}, expected {len(names)} dimensions ({' '.join(names)})"
        for name, size in zip(names, shape, strict=True):
            number, origin = (int(name), "") if name.isdigit() else self.sizes.setdefault(name, (size, place))
            if size != number:
                known = f" ({name} is {number} in {origin})" if origin else ""
                return f"{place} is {shape}, expected ({' '.join(names)}): {size} instead of {name}{known}"
        if dtype == "float" and not tree.is_floating_point():
            return f"{place} is {tree.dtype}, expected a floating point type"
        if dtype not in ("", "float") and tree.dtype != getattr(torch, dtype):
            return f"{place} is {tree.dtype}, expected torch.{dtype}"
        return ""


def _parse(text: str) -> tuple[list[str], str]:
    """ "B T 3 float32" -> (["B", "T", "3"], "float32")"""
    words = text.split()
    is_dtype = bool(words) and (words[-1] == "float" or isinstance(getattr(torch, words[-1], None), torch.dtype))
    return (words[:-1], words[-1]) if is_dtype else (words, "")
