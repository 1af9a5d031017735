"""Hooks on a compiled module: it is run eagerly for as long as they are attached, since its graph would skip them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn


def hookable(module: nn.Module) -> Callable[[], None]:
    """Make ``module`` call its hooks even after ``module.compile()``; returns what restores the compiled call.

    A module *inside* a compiled one stays out of reach: the criterion then finds that it was never seen.
    """
    compiled = module._compiled_call_impl
    module._compiled_call_impl = None
    return partial(setattr, module, "_compiled_call_impl", compiled)
