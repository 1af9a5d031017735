"""What is particular to ConvGRU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fusion_windows import CHANNELS, GRID, randomise, window

from wotempo.fusion import build_fusion
from wotempo.geometry import BACKBONE_BEV


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_recurrence_against_plain_numpy() -> None:
    """Kernel 1: every cell is a GRU by itself, written out from the formulas."""
    stage = randomise(build_fusion("convgru", CHANNELS, GRID, 4, hidden=3, kernel=1).double())
    w = window(batch=2)
    aligned, mask = (x.numpy() for x in stage.warp_history(w.bev, w.pose, w.valid))
    p = {name: value.detach().numpy().squeeze() for name, value in stage.state_dict().items()}
    h = np.zeros((2, 3, *GRID.shape))

    def conv(name: str, *inputs: np.ndarray) -> np.ndarray:
        x = np.concatenate(inputs, 1)
        return np.einsum("oc,bchw->bohw", p[f"{name}.weight"], x) + p[f"{name}.bias"][:, None, None]

    for t in range(4):
        x = aligned[:, t]
        gates = sigmoid(conv("cell.gates", x, h))
        z, r = gates[:, :3], gates[:, 3:]
        h = np.where(mask[:, t], (1 - z) * h + z * np.tanh(conv("cell.candidate", x, r * h)), h)
    update = np.einsum("oc,bchw->bohw", p["project.weight"], h)
    expected = w.bev[:, -1].numpy() + update * mask[:, :-1].any(1)
    assert np.allclose(stage(*w.args()).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("frame", range(3))
def test_state_passes_through_a_missing_frame(frame: int) -> None:
    """A frame that is not valid is as good as never taken: the state is kept bit for bit."""
    stage, w = randomise(build_fusion("convgru", CHANNELS, GRID, 4).double()), window()
    w.valid[:, frame] = False
    without = [t for t in range(4) if t != frame]
    assert torch.equal(stage(*w.args()), stage(*(x[:, without] for x in w.args())))


@pytest.mark.parametrize("autocast", [False, True])
def test_state_is_summed_in_float32(autocast: bool) -> None:
    dtypes = set()
    stage = randomise(build_fusion("convgru", CHANNELS, GRID, 4))
    stage.cell.register_forward_hook(lambda module, args, h: dtypes.add(h.dtype))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        (stage if autocast else stage.bfloat16())(*window(dtype=torch.bfloat16).args())
    assert dtypes == {torch.float32}


@pytest.mark.parametrize("form", ["full", "separable"])
def test_the_cell_is_its_convolutions_on_both_inputs_together(form: str) -> None:
    """As the formulas have it, frame by frame; what it leaves out before the first frame is nothing."""
    cell = randomise(build_fusion("convgru", CHANNELS, GRID, 3, hidden=5, form=form)).double().cell
    x, h = torch.randn(2, 3, CHANNELS, *GRID.shape).double(), torch.zeros(2, 5, *GRID.shape).double()
    found = cell(x, h)
    assert torch.equal(found, cell(x, h, blank=True))
    for t in range(3):
        z, r = cell.gates(torch.cat((x[:, t], h), 1)).sigmoid().chunk(2, 1)
        h = h + z * (cell.candidate(torch.cat((x[:, t], r * h), 1)).tanh() - h)
    torch.testing.assert_close(found, h, rtol=1e-10, atol=1e-12)


def test_parameter_count_at_full_size() -> None:
    with torch.device("meta"):
        stage = build_fusion("convgru", 512, BACKBONE_BEV, 4)
    assert sum(p.numel() for p in stage.cell.parameters()) == 14_157_312  # 54·C² + 3·C
    assert sum(p.numel() for p in stage.parameters()) == 14_157_312 + 512 * 512


def test_only_the_projection_starts_at_zero() -> None:
    stage = build_fusion("convgru", CHANNELS, GRID)
    assert {name for name, p in stage.named_parameters() if not bool(p.any())} == {"project.weight"}
    assert not list(stage.buffers())  # no running statistics: history and current cannot drift apart


def test_checkpoints_of_the_default_form_keep_their_keys() -> None:
    keys = {f"cell.{layer}.{part}" for layer in ("gates", "candidate") for part in ("weight", "bias")}
    for name in ("convgru", "convgru_recurrent"):
        assert set(build_fusion(name, CHANNELS, GRID).state_dict()) == {*keys, "project.weight"}


@pytest.mark.parametrize(("form", "share"), [("separable", 0.13), ("bottleneck", 0.071)])
def test_the_cheap_forms_are_cheap(form: str, share: float) -> None:
    with torch.device("meta"):
        full, cheap = (build_fusion("convgru", 512, BACKBONE_BEV, form=f) for f in ("full", form))
    counts = [sum(p.numel() for p in stage.parameters()) for stage in (full, cheap)]
    assert counts[1] / counts[0] == pytest.approx(share, rel=0.02)
