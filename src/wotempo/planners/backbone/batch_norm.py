"""Batch norm of the frame encoder when windows share frames.

A frame that several windows of a batch show is encoded once, so ordinary batch statistics count it once, while the same
windows with frames of their own would count it as often as it is shown. ``weighted`` counts it so and gives the naive
computation exactly; ``frozen`` uses the running statistics, as in driving, and does not touch them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = ("batch", "weighted", "frozen")


class FrameBatchNorm(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` (same state dict) with a ``kind`` of KINDS. Over (F, C, H, W)."""

    kind = "batch"
    weight_f: Tensor | None = None  # how often each frame counts; set by ``counting`` for the time of a forward pass

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.kind == "frozen":
            mean, variance = self.running_mean, self.running_var
            return F.batch_norm(input, mean, variance, self.weight, self.bias, False, 0.0, self.eps)
        if self.training and self.kind == "weighted" and self.weight_f is not None:
            return self._weighted(input, self.weight_f)
        return super().forward(input)

    def _weighted(self, input: Tensor, weight_f: Tensor) -> Tensor:
        wide = input.to(torch.promote_types(input.dtype, torch.float32))
        share = (weight_f / weight_f.sum()).to(wide.dtype)
        mean = share @ wide.mean((2, 3))
        variance = share @ (wide - mean[:, None, None]).square().mean((2, 3))
        if self.momentum and self.running_mean is not None and self.running_var is not None:
            count = weight_f.sum() * (input.shape[2] * input.shape[3])
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                unbiased = variance * count / (count - 1).clamp(min=1)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
                assert self.num_batches_tracked is not None
                self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return ((wide - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)


@contextmanager
def counting(module: nn.Module, weight_f: Tensor | None) -> Iterator[None]:
    """Inside, the weighted batch norms of ``module`` count frame f ``weight_f[f]`` times; None: once."""
    norms = [m for m in module.modules() if isinstance(m, FrameBatchNorm) and m.kind == "weighted"]
    for norm in norms:
        norm.weight_f = weight_f
    try:
        yield
    finally:
        for norm in norms:
            norm.weight_f = None
