"""The comparison of the tensors in a file with those of a model: every difference, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wotempo.errors import UserError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHOWN = 40  # so many fit on a screen; ``differences`` has them all


class DifferentWeights(UserError):
    """One sentence with the first difference, then the others, one a line and at most SHOWN of them.

    ``differences`` is complete; ``abbreviated`` says whether the text is not.
    """

    def __init__(self, path: Path, found: list[tuple[str, str]], remedy: str) -> None:
        """found: (kind, sentence) per tensor."""
        self.differences = [sentence for _, sentence in found]
        self.abbreviated = len(found) > SHOWN
        counts = ", ".join(f"{number} {kind}" for kind, number in Counter(kind for kind, _ in found).items())
        lines = [f"{path} holds other weights than this WoTE has ({counts}): {self.differences[0]}; {remedy}"]
        lines += [f"  {sentence}" for sentence in self.differences[1:SHOWN]]
        if self.abbreviated:
            lines.append(f"  and {len(found) - SHOWN} more")
        super().__init__("\n".join(lines))


def check_tensors(path: Path, found: Mapping[Any, Any], wanted: dict[str, Tensor], remedy: str) -> None:
    """DifferentWeights unless ``found`` has exactly the keys, shapes and kinds of ``wanted``, all of it finite."""
    different = [found_as for key, like in wanted.items() if (found_as := _difference(key, found, like)) is not None]
    different += [("extra", f"{key} is not part of it") for key in found if key not in wanted]
    if different:
        raise DifferentWeights(path, different, remedy)


def _difference(key: str, found: Mapping[Any, Any], like: Tensor) -> tuple[str, str] | None:
    """(kind, sentence) where the entry ``key`` cannot stand for ``like``. Floats of any width can: they are kept."""
    if key not in found:
        return "missing", f"{key} {tuple(like.shape)} is missing"
    value = found[key]
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        return "no tensors", f"{key} is no tensor with values but {_kind(value)}"
    if value.shape != like.shape:
        return "of another shape", f"{key} is {tuple(value.shape)}, not {tuple(like.shape)}"
    if value.dtype not in (FLOATS if like.is_floating_point() else (like.dtype,)):
        return "of another type", f"{key} is {value.dtype}, not {like.dtype}"
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        return "not finite", f"{key} holds NaN or infinity in {bad} of {value.numel()} values"
    return None


def _kind(value: Any) -> str:
    return f"{value.layout} on {value.device}" if isinstance(value, Tensor) else type(value).__name__
