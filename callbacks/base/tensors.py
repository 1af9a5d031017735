"""Small questions to nested floating point tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def floats(tree: Any) -> Iterator[Tensor]:
    """The floating point tensors of nested mappings, lists and tuples, in their order."""
    if isinstance(tree, Tensor):
        if tree.is_floating_point():
            yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from floats(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from floats(value)


def largest(value: Tensor) -> float:
    """Largest absolute entry; NaN where there is one; 0 of nothing."""
    return float(value.detach().abs().amax()) if value.numel() else 0.0


def all_finite(value: Tensor) -> bool:
    """Whether no entry is NaN or infinite. Reads the device."""
    return bool(torch.isfinite(value).all())
