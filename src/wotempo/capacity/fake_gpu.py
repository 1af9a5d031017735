"""A GPU that need not be there: tensors without their numbers, and a count of the bytes that they stand for.

Torch's ``FakeTensorMode`` runs every operation without its numbers. What it cannot know without them (``.item()``,
``torch.unique``, a boolean index) it refuses: on a GPU each of these waits for the device. It also refuses operations
on tensors of two devices. Beside it stand here: which attention kernel a GPU takes, autocast without a GPU, and the
backward pass, whose engine asks for the device by its driver.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from heapq import heappop, heappush
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BLOCK = 512
"""Bytes: the allocator gives memory in multiples of it."""
HALF = (torch.float16, torch.bfloat16)


class Allocations(TorchDispatchMode):
    """The bytes of all storages that are alive on one type of device, of fake or real tensors, counted as operations
    make them.

    Attributes:
        now, peak: bytes.
        waits: operations that make the host wait for the device although no number is looked at: copies from it, and
            copies to it that are not ``non_blocking``.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.now = self.peak = 0
        self.waits: list[str] = []
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        for value in made:
            self._count(value)
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[1] if func is torch.ops.aten.copy_.default else args[0]
            asynchronous = kwargs.get("non_blocking", False) or (len(args) > 2 and args[2])
            devices = {source.device.type, made[0].device.type}
            if len(devices) > 1 and not (asynchronous and made[0].device.type == self.device):
                self.waits.append(f"{source.device.type} to {made[0].device.type}, {tuple(source.shape)}")
        return result

    def watch(self, module: nn.Module) -> None:
        """Counts parameters and buffers, too, which were there before."""
        for value in (*module.parameters(), *module.buffers()):
            self._count(value)

    def _count(self, value: Tensor) -> None:
        if value.device.type != self.device:
            return
        storage = value.untyped_storage()
        if (key := storage._cdata) in self._known:
            return
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class Kept:
    """The tensors, fake or real, that a forward pass keeps for its backward pass, as hooks for ``saved_tensors_hooks``.
    ``known``: its parameters and buffers are there anyhow."""

    def __init__(self, known: nn.Module) -> None:
        self._known = {x.untyped_storage()._cdata for x in (*known.parameters(), *known.buffers())}
        self._held: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def pack(self, x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage._cdata not in self._known:
            self._held[storage._cdata] = weakref.ref(storage)
        return x.detach()  # an operation keeps its own result, too: with its graph that would be a cycle

    def unpack(self, x: Tensor) -> Tensor:
        return x

    @property
    def bytes(self) -> int:
        """Of the storages that are alive, each once."""
        return sum(storage.nbytes() for held in self._held.values() if (storage := held()) is not None)


class GpuAttention(TorchFunctionMode):
    """Scaled dot product attention by the kernels that a GPU takes, which keep no scores: flash for 16 bits, the
    memory-efficient one for 32. Torch would choose by asking the GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        q, k, v = args[:3]
        p = kwargs.get("dropout_p", 0.0)
        if torch.is_autocast_enabled("cuda"):
            q, k, v = (x.to(torch.get_autocast_dtype("cuda")) for x in (q, k, v))
        if q.dtype in HALF:
            return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, p)[0]
        learns = torch.is_grad_enabled()
        return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, learns, p)[0]


@contextmanager
def fake_tensors(counts: Allocations) -> Iterator[FakeTensorMode]:
    """Inside, tensors are fake and their bytes on the device of ``counts`` are counted; attention is a GPU's, and
    autocast does not turn itself off for a GPU that is not there."""
    with ExitStack() as stack:
        mode = stack.enter_context(FakeTensorMode())
        stack.enter_context(counts)
        if counts.device == "cuda":
            stack.enter_context(GpuAttention())
            stack.enter_context(patch.object(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False))
            stack.enter_context(patch.object(torch.cuda, "is_bf16_supported", lambda *_: True))
        yield mode


def to_fake(module: nn.Module, device: str, dtype: torch.dtype = torch.float32) -> None:
    """Replaces parameters and buffers, of the device ``meta``, by fake ones of the same shapes and strides; floating
    ones get ``dtype``. Inside ``fake_tensors``."""

    def fake(x: Tensor) -> Tensor:
        kind = dtype if x.is_floating_point() else x.dtype
        return torch.empty_strided(x.shape, x.stride(), dtype=kind, device=device)

    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(fake(parameter), requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = fake(buffer)


@torch.no_grad()
def backward(losses: list[Tensor]) -> None:
    """``loss.backward()`` node by node, in the order of torch's engine, which itself would ask the driver for the
    device. The one loss is taken out of its list: what the graph keeps is given back node by node, unless the caller
    holds the graph, too."""
    loss = losses.pop()
    root = loss.grad_fn
    assert root is not None
    ready: list[tuple[int, int, Any]] = [(0, 0, root)]
    given: dict[Any, dict[int, Tensor]] = {root: {0: torch.ones_like(loss)}}
    waits = _edges_into(root)
    del loss, root
    with ExitStack() as stack:
        if (group := getattr(checkpoint, "GraphExecGroup", None)) is not None:
            stack.enter_context(group())  # what was not kept is computed again once, and not for every reader
        _visit(ready, given, waits)


def _visit(ready: list[tuple[int, int, Any]], given: dict[Any, dict[int, Tensor]], waits: dict[Any, int]) -> None:
    while ready:
        node = heappop(ready)[2]
        grads = given.pop(node, {})
        if hasattr(node, "variable"):
            _accumulate(node.variable, grads.get(0))
            continue
        edges = node.next_functions
        found: Any = node(*(grads.get(i) for i in range(len(node._input_metadata)))) if grads else None
        parts = list(found) if isinstance(found, tuple) else [found] * len(edges)
        del node, grads, found
        for child, place in edges:
            part = parts.pop(0)
            if child is None:
                continue
            if part is not None:
                part = _fitting(part, child._input_metadata[place])
                held = given.setdefault(child, {})
                held[place] = part if place not in held else held[place] + part
            del part
            waits[child] -= 1
            if waits[child] == 0:
                del waits[child]
                heappush(ready, (-child._sequence_nr(), len(waits), child))
        del edges, child


def _edges_into(root: Any) -> dict[Any, int]:
    """How many gradients each node below ``root`` waits for."""
    waits: Counter[Any] = Counter()
    stack = [root]
    while stack:
        for child, _ in stack.pop().next_functions:
            if child is not None:
                if child not in waits:
                    stack.append(child)
                waits[child] += 1
    return waits


def _fitting(grad: Tensor, wanted: Any) -> Tensor:
    """What was broadcast is summed, and the type is that of what the gradient is of."""
    shape = tuple(wanted.shape)
    if tuple(grad.shape) != shape:
        grad = grad.sum_to_size(shape)
    return grad if grad.dtype == wanted.dtype else grad.to(wanted.dtype)


def _accumulate(parameter: Tensor, grad: Tensor | None) -> None:
    if grad is not None:
        parameter.grad = grad if parameter.grad is None else parameter.grad + grad
