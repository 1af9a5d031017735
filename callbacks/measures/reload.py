"""The comparison of a checkpoint with the model in memory, by what both compute for one batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import LightningModule
from torch import Tensor

from callbacks.base.checksum import read_saved
from callbacks.base.plain import in_one_line
from callbacks.base.tensors import floats, largest


def compare_forward(
    path: str, pl_module: LightningModule, batch: Any, device: torch.device
) -> tuple[float | None, str]:
    """(largest relative difference of the outputs for ``batch``, which output); None and why, where it cannot be had.

    Changes neither the model nor the random state.
    """
    checkpoint = read_saved(path)
    rebuild = getattr(pl_module, "rebuild", None)
    with _as_it_is(pl_module, device):
        try:
            ours = _outputs(pl_module, batch)
        except Exception as error:  # a module may have no forward for a training batch: that is no fault of the file
            return None, f"the model's forward(batch) raises {type(error).__name__}"
        if not ours:
            return None, "the model's forward(batch) returns no floating point tensor"
        try:
            if rebuild is None:
                _erase(pl_module)
                pl_module.load_state_dict(checkpoint["state_dict"])
                theirs = _outputs(pl_module, batch)
            else:
                theirs = _outputs(rebuild(checkpoint).to(device).eval(), batch)
        except Exception as error:  # whatever it is: the file does not give the model back
            return math.inf, in_one_line(error)
    if [value.shape for value in ours] != [value.shape for value in theirs]:
        return math.inf, "outputs of another shape"
    apart = [largest(b - a) / max(largest(a), 1e-12) for a, b in zip(ours, theirs, strict=True)]
    apart = [math.inf if math.isnan(value) else value for value in apart]
    worst = max(apart)
    return worst, f"output {apart.index(worst)}"


def _outputs(module: LightningModule, batch: Any) -> list[Tensor]:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [value.double().cpu().clone() for value in floats(module(move_data_to_device(batch, module.device)))]


def _erase(module: LightningModule) -> None:
    """What is not in the file must not survive in memory."""
    for value in module.state_dict().values():
        value.fill_(math.nan if value.is_floating_point() else 0)


@contextmanager
def _as_it_is(module: LightningModule, device: torch.device) -> Iterator[None]:
    place, training = module.device, [(member, member.training) for member in module.modules()]
    module.to(device).eval()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(state)
        module.to(place)
        for member, mode in training:
            member.training = mode
