"""The check of a machine's arithmetic: the model's operations in the run's precision against float64, and the warp
against its own formula. Builds that compute wrongly without an error exist for CPUs and GPUs alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional as F

from wotempo.doctor.finding import Finding
from wotempo.geometry import BevGrid
from wotempo.geometry.warp import warp_bev

DTYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
# Largest error in terms of the largest value: some units in the last place of 24, 11 and 8 bits. A GPU rounds the
# factors of float32 convolutions to 11 bits, too (TF32).
BOUNDS = {"32-true": 1e-4, "16-mixed": 4e-3, "bf16-mixed": 3e-2}
WARP_BOUND = 1e-3  # of a cell's value; half a cell of misalignment is 0.3
MENDS = "another torch build or device; on a CPU try TORCH_MKLDNN_ENABLED=0; then run the doctor again"
Operations = Mapping[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]]  # with the shapes of its inputs


def _gradient(x: Tensor, weight: Tensor) -> Tensor:
    weight = weight.detach().requires_grad_()
    F.conv2d(x, weight, padding=1).square().mean().backward()
    assert weight.grad is not None
    return weight.grad


OPERATIONS: Operations = {
    "7×7 convolution": (lambda x, w: F.conv2d(x, w, stride=2, padding=3), ((2, 3, 64, 128), (64, 3, 7, 7))),
    "3×3 convolution": (lambda x, w: F.conv2d(x, w, stride=2, padding=1), ((2, 64, 33, 17), (128, 64, 3, 3))),
    "gradient of a convolution": (_gradient, ((2, 16, 24, 24), (16, 16, 3, 3))),
    "matrix product": (torch.matmul, ((4, 192, 256), (256, 128))),
    "attention": (F.scaled_dot_product_attention, ((2, 8, 64, 32),) * 3),
}


def _autocast(device: torch.device, precision: str) -> AbstractContextManager:
    return torch.autocast(device.type, DTYPES[precision]) if precision in DTYPES else nullcontext()


def check_arithmetic(device: torch.device, precision: str, operations: Operations = OPERATIONS) -> Finding:
    """Each operation on ``device`` in ``precision`` beside the same in float64 on the CPU."""
    bound = BOUNDS["16-mixed" if precision == "32-true" and device.type != "cpu" else precision]
    generator = torch.Generator().manual_seed(0)
    errors: dict[str, float] = {}
    for name, (operation, shapes) in operations.items():
        inputs = [torch.randn(shape, generator=generator) for shape in shapes]
        truth = OPERATIONS[name][0](*(x.double() for x in inputs))
        with _autocast(device, precision):
            result = operation(*(x.to(device) for x in inputs)).double().cpu()
        errors[name] = float((result - truth).abs().max() / truth.abs().max())
    worst_name = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    worst = errors[worst_name]
    found = f"{device.type}, {precision}: largest relative error {worst:.1e} ({worst_name}), bound {bound:.0e}"
    if not worst <= bound:
        return Finding("arithmetic", "fail", found, MENDS)
    return Finding("arithmetic", "ok", found)


def warped(values: np.ndarray, pose: np.ndarray, grid: BevGrid) -> np.ndarray:
    """The formula of ``wotempo.geometry.warp`` in float64, cell by cell: cell p of the current frame takes the value of
    the history map (R, C) at R(-ψ)(p - t), bilinear between cell centres, zero outside."""
    rows, cols = np.indices(grid.shape)
    x, y = grid.to_metres(rows, cols)
    dx, dy, cos, sin = x - pose[0], y - pose[1], np.cos(pose[2]), np.sin(pose[2])
    r, c = grid.to_index(cos * dx + sin * dy, -sin * dx + cos * dy)
    return map_coordinates(values, (r, c), order=1, mode="grid-constant")


def check_warp(device: torch.device, precision: str, warp: Callable[..., Tensor] = warp_bev) -> Finding:
    """The warp of a random map, forwards, sideways and in a turn, on ``device`` beside its formula."""
    grid = BevGrid(-32.0, 32.0, -32.0, 32.0, 16, 16)
    values = np.random.default_rng(0).uniform(size=grid.shape)
    poses = np.array([[-7.0, 0.0, 0.0], [0.0, 3.0, 0.0], [-5.0, 1.0, -0.3]])
    feature = torch.tensor(values, dtype=torch.float32, device=device).expand(len(poses), 1, -1, -1)
    with _autocast(device, precision):
        result = warp(feature, torch.tensor(poses, dtype=torch.float32, device=device), grid)
    truth = np.stack([warped(values, pose, grid) for pose in poses])
    error = float(np.abs(result[:, 0].double().cpu().numpy() - truth).max())
    found = f"{device.type}, {precision}: grid_sample and formula differ by {error:.1e}, bound {WARP_BOUND:.0e}"
    return Finding("warp", "ok", found) if error <= WARP_BOUND else Finding("warp", "fail", found, MENDS)
