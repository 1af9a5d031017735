"""One re-run of a micro-batch, with hooks on every module: its losses, and where its first non-finite value is born."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from callbacks.base.protocol import loss_terms
from callbacks.base.tensors import all_finite, floats, largest


@dataclass
class Finding:
    """What one re-run of a micro-batch showed.

    Attributes:
        phase: where the first non-finite value was born: forward | loss | backward | parameters | nowhere.
        module: name of the module it was born in (backward: that it was born behind), '' where it is none.
        sentence: phase and module in words.
        value: the first non-finite output: how much of it, and how large what went in was.
        terms: loss terms by name, the loss itself as ``loss``.
        gradient: largest absolute gradient of all parameters; None where there was no backward pass.
        parameter: the first parameter with a non-finite gradient.
        repeated: module -> largest absolute output of each of its calls, of modules called more than once (the cells
            of a recurrence).
    """

    phase: str = "nowhere"
    module: str = ""
    sentence: str = ""
    value: str = ""
    terms: dict[str, float] = field(default_factory=dict)
    gradient: float | None = None
    parameter: str = ""
    repeated: dict[str, list[float]] = field(default_factory=dict)

    @property
    def non_finite(self) -> bool:
        """Whether the re-run showed a non-finite value anywhere."""
        return self.phase != "nowhere" or any(not math.isfinite(term) for term in self.terms.values())

    def facts(self) -> dict[str, Any]:
        """As facts.json of a failure folder holds it, where ``phase`` is called "stage"."""
        return {"stage" if name == "phase" else name: value for name, value in asdict(self).items()}


def examine(
    pl_module: LightningModule, batch: Any, batch_idx: int, context: AbstractContextManager, scale: float = 1.0
) -> Finding:
    """Re-run ``training_step`` of one micro-batch and its backward pass (of the loss times ``scale``)."""
    found = Finding()
    turns: list[tuple[str, str]] = []  # in the backward pass: (module, sentence)
    last_clean: list[str] = []  # modules whose output received a finite gradient, in the order of the backward pass
    watched: dict[int, Any] = {}

    def watch_gradient(name: str, output: Tensor) -> None:
        def look(gradient: Tensor) -> None:
            if all_finite(gradient):
                last_clean.append(name)
            elif not turns and last_clean:
                place = f"in the backward pass of {last_clean[-1]} (finite at its output, not at that of {name})"
                turns.append((last_clean[-1], place))
            elif not turns:
                turns.append((name, f"between the loss and the output of {name}"))

        # A container returns the tensor of its last child: the child was first and is the better name.
        if output.grad_fn is not None and id(output.grad_fn) not in watched:
            watched[id(output.grad_fn)] = output.grad_fn
            output.register_hook(look)

    def after_forward(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            values = list(floats(output))
            found.repeated.setdefault(name, []).append(max((largest(value) for value in values), default=0.0))
            for value in values:
                if found.phase == "nowhere" and not all_finite(value):
                    clean = all(all_finite(v) for v in floats(inputs))
                    found.phase, found.module, found.value = "forward", name, describe(value, inputs)
                    kind = f"{name} ({type(module).__name__}), from {'finite' if clean else 'non-finite'} inputs"
                    found.sentence = f"the first non-finite output is that of {kind}"
                watch_gradient(name, value)

        return look

    handles = [m.register_forward_hook(after_forward(n)) for n, m in pl_module.named_modules() if n]
    parameters = {name: p for name, p in pl_module.named_parameters() if p.requires_grad}
    try:
        with _untouched(pl_module), torch.enable_grad(), context:
            output = pl_module.training_step(batch, batch_idx)
            loss: Any = output["loss"] if isinstance(output, Mapping) else output
            found.terms = {n: float(term.detach()) for n, term in {**loss_terms(pl_module), "loss": loss}.items()}
        found.repeated = {name: sizes for name, sizes in found.repeated.items() if len(sizes) > 1}
        if found.phase == "forward":
            return found
        if not all_finite(loss):
            found.phase = "loss"
            found.sentence = "the outputs of all modules are finite, it is born in the computation of the loss"
            return found
        # `torch.autograd.grad` leaves `.grad` alone.
        gradients = torch.autograd.grad(loss * scale, list(parameters.values()), allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    named = {name: g for name, g in zip(parameters, gradients, strict=True) if g is not None}
    bad = [name for name, gradient in named.items() if not all_finite(gradient)]
    found.gradient = max((largest(gradient) for gradient in named.values()), default=0.0) / scale
    found.parameter = bad[0] if bad else ""
    if turns:
        found.phase, (found.module, place) = "backward", turns[0]
        found.sentence = f"the gradient turns non-finite {place}"
    elif bad:
        found.phase = "parameters"
        found.sentence = f"only parameters have non-finite gradients, no output has: {', '.join(bad)}"
    else:
        found.sentence = "a re-run of the last micro-batch is finite in every module"
    return found


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


def describe(value: Tensor, inputs: Any) -> str:
    """How much of a tensor is not finite, where first, and how large what it was made of is."""
    bad = ~torch.isfinite(value.detach())
    place = tuple(bad.nonzero()[0].tolist())
    kind = float(value.detach()[place])
    came = max((largest(v) for v in floats(inputs)), default=math.nan)
    of = f"{int(bad.sum())} of {value.numel()} values, the first is {kind} at {list(place)} of {tuple(value.shape)}"
    return f"{of}; the largest input was {came:.4g}"
