"""Convolutions that several fusion stages are built of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from wotempo.errors import UserError


def check_kernel(kernel: int) -> None:
    """UserError unless ``kernel`` (cells) is odd: an even one has no centre and would shift the map by half a cell."""
    if kernel < 1 or kernel % 2 == 0:
        raise UserError(f"fusion.kernel is {kernel}, which has no centre cell: set an odd number such as 3")


def state_channels(hidden: int | None, default: int) -> int:
    """How many channels the state of a recurrent stage has; UserError for a number below 1."""
    if hidden is not None and hidden < 1:
        raise UserError(f"fusion.hidden is {hidden}: set the number of state channels to 1 or more, or to null")
    return default if hidden is None else hidden


def convolution(inputs: int, outputs: int, kernel: int, separable: bool = False) -> nn.Module:
    """(N, inputs, H, W) -> (N, outputs, H, W). ``separable``: per channel over space, then 1×1 over channels
    (Chollet, "Xception", CVPR 2017)."""
    if not separable:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    depthwise = nn.Conv2d(inputs, inputs, kernel, padding=kernel // 2, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1))


def split_convolution(layer: nn.Module, channels: int) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """layer of ``convolution`` on [x, h], ``channels`` of x first -> two functions whose sum it is: of x, with the
    bias, and of h, zero for h = 0."""

    def part(rows: slice, with_bias: bool) -> Callable[[Tensor], Tensor]:
        depthwise, full = cast(
            "tuple[nn.Conv2d | None, nn.Conv2d]", tuple(layer) if isinstance(layer, nn.Sequential) else (None, layer)
        )
        weight = full.weight[:, rows].contiguous()  # once, not at every call
        bias = full.bias if with_bias else None
        if depthwise is None:
            return lambda x: F.conv2d(x, weight, bias, padding=full.kernel_size[0] // 2)
        spatial, edge = depthwise.weight[rows], depthwise.kernel_size[0] // 2
        return lambda x: F.conv2d(F.conv2d(x, spatial, padding=edge, groups=x.shape[1]), weight, bias)

    return part(slice(channels), True), part(slice(channels, None), False)


@contextmanager
def outputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """The list that fills with what ``module`` returns, call by call."""
    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, args, output: seen.append(output))
    try:
        yield seen
    finally:
        handle.remove()


def output_projection(inputs: int, channels: int, kernel: int = 1) -> nn.Conv2d:
    """The last layer of a residual stage: starts at zero, so that the stage starts as ``none``. No bias: what it adds
    is backed by something it was given."""
    projection = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2, bias=False)
    nn.init.zeros_(projection.weight)
    return projection
