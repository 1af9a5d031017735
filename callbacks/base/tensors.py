"""Small questions to nested floating point tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def floats(tree: Any) -> Iterator[Tensor]:
    """The floating point tensors of nested mappings, lists and tuples, in their order."""
    return (value for _, value in named_floats(tree, ""))


def named_floats(tree: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """``floats``, each with its path: ``name``, and behind dots the keys and places that lead to it."""
    if isinstance(tree, Tensor):
        if tree.is_floating_point():
            yield name, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from named_floats(value, f"{name}.{key}")
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from named_floats(value, f"{name}.{index}")


def largest(value: Tensor) -> float:
    """Largest absolute entry; NaN where there is one; 0 of nothing."""
    return float(value.detach().abs().amax()) if value.numel() else 0.0


def all_finite(value: Tensor) -> bool:
    """Whether no entry is NaN or infinite. Reads the device."""
    return bool(torch.isfinite(value).all())
