"""Where was the first non-finite value born? Re-runs one batch with hooks on every module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn


def find_culprit(trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> str:
    """One sentence naming the module. Changes neither weights, gradients, buffers nor logs.

    The random state of the failing step is gone, so with dropout (or when an earlier micro-batch of an accumulated
    step failed) the fault may not come back; the sentence then says so.
    """
    # Diagnosis must never replace the finding itself: whatever goes wrong here becomes part of the sentence.
    try:
        return _diagnose(trainer, pl_module, batch, batch_idx)
    except Exception as error:
        return f"the re-run for a diagnosis failed ({type(error).__name__}: {error})"


def _diagnose(trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> str:
    births: list[str] = []  # in the forward pass
    turns: list[str] = []  # in the backward pass
    last_clean: list[str] = []  # modules whose output received a finite gradient, in the order of the backward pass
    watched: dict[int, Any] = {}

    def watch_gradient(name: str, output: Tensor) -> None:
        def look(gradient: Tensor) -> None:
            if bool(torch.isfinite(gradient).all()):
                last_clean.append(name)
            elif not turns and last_clean:
                turns.append(f"in the backward pass of {last_clean[-1]} (finite at its output, not at that of {name})")
            elif not turns:
                turns.append(f"between the loss and the output of {name}")

        # A container returns the tensor of its last child: the child was first and is the better name.
        if output.grad_fn is not None and id(output.grad_fn) not in watched:
            watched[id(output.grad_fn)] = output.grad_fn
            output.register_hook(look)

    def after_forward(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            for value in floats(output):
                if not births and not _finite(value):
                    kind = "finite" if all(_finite(v) for v in floats(inputs)) else "non-finite"
                    births.append(f"{name} ({type(module).__name__}), from {kind} inputs")
                watch_gradient(name, value)

        return look

    handles = [m.register_forward_hook(after_forward(n)) for n, m in pl_module.named_modules() if n]
    parameters = {name: p for name, p in pl_module.named_parameters() if p.requires_grad}
    try:
        with _untouched(pl_module), torch.enable_grad(), trainer.precision_plugin.forward_context():
            output = pl_module.training_step(batch, batch_idx)
            loss: Any = output["loss"] if isinstance(output, Mapping) else output
        if births:
            return f"the first non-finite output is that of {births[0]}"
        if not _finite(loss):
            return "the outputs of all modules are finite, it is born in the computation of the loss"
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)  # leaves `.grad` alone
    finally:
        for handle in handles:
            handle.remove()
    if turns:
        return f"the gradient turns non-finite {turns[0]}"
    bad = [name for name, g in zip(parameters, gradients, strict=True) if g is not None and not _finite(g)]
    if bad:
        return f"only parameters have non-finite gradients, no output has: {', '.join(bad)}"
    return "a re-run of the last micro-batch is finite in every module"


@contextmanager
def _untouched(pl_module: LightningModule) -> Iterator[None]:
    """Buffers (batch norm) and logs stay as they are."""
    buffers = {name: buffer.clone() for name, buffer in pl_module.named_buffers()}
    silent = dict.fromkeys(("log", "log_dict"), lambda *args, **kwargs: None)
    vars(pl_module).update(silent)  # in front of the methods of the class
    try:
        yield
    finally:
        for name in silent:
            del vars(pl_module)[name]
        for name, buffer in pl_module.named_buffers():
            buffer.data.copy_(buffers[name])


def floats(tree: Any) -> Iterator[Tensor]:
    """The floating point tensors of a nested output."""
    if isinstance(tree, Tensor):
        if tree.is_floating_point():
            yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from floats(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from floats(value)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())
