"""Dropout (Srivastava et al., 2014) whose masks are cheap on a CPU, too."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 1 << 16


def dropout(x: Tensor, p: float) -> Tensor:
    """x with each element zeroed with probability ``p`` (to 1/65536) and the others scaled to keep the mean.

    torch on a CPU draws one float per element and keeps it for the backward pass: a tenth of a training step and a
    fifth of its memory. Here 16 random bits decide, and what is kept is one byte. GPUs have such a kernel already.
    """
    if p == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p)
    dropped = round(p * LEVELS)
    bits = torch.empty(x.numel() // 4 + 1, dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)
    keep = (bits[: x.numel()] >= dropped - LEVELS // 2).view(x.shape)
    return (x * keep).mul_(LEVELS / (LEVELS - dropped))
