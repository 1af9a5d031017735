"""Gradient through the history: all of it, none, or the last frames; and packing, which shares frames."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from defaults import loss_weights
from windows import apart

from wotempo.errors import UserError
from wotempo.planners.backbone.batch_norm import FrameBatchNorm, counting
from wotempo.planners.backbone.frames import gather_windows, used_frames
from wotempo.planners.wote.losses import compute_losses

FRAMES = 4


def frozen(model):
    """Batch norms as in driving: then no frame's features depend on which others are encoded with it."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return model


def step(model, batch):
    """Loss, and gradients by parameter."""
    model.zero_grad()
    loss = torch.stack(list(compute_losses(model(batch), batch, loss_weights()).values())).sum()
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def same(one, other):
    torch.testing.assert_close(one[0], other[0], rtol=1e-6, atol=0)
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(other[1][name], gradient, rtol=1e-6, atol=1e-6 * scale + 1e-12, msg=name)


def make(make_model, micro, **options):
    return frozen(make_model(replace(micro, dropout=0.0, **options), "convgru", FRAMES).double().train())


def test_packed_windows_are_the_naive_computation(make_model, make_batch, micro):
    """A frame that several windows share passes the encoder once; loss and gradients are those of every window with
    frames of its own."""
    model, batch = make(make_model, micro), make_batch(samples=4, window=FRAMES)
    assert len(batch["camera"]) < len(apart(batch)["camera"])
    same(step(model, apart(batch)), step(model, batch))


COUNTED = {"batch_norm": "weighted"}


@pytest.mark.parametrize("options", [COUNTED, {"batch_norm": "frozen"}, {**COUNTED, "activation_checkpointing": True}])
def test_packing_with_batch_norms_that_know_of_it(make_model, make_batch, micro, options):
    """In training mode, without help: a frame counts as often as windows show it, or not at all."""
    model = make_model(replace(micro, dropout=0.0, **options), "convgru", FRAMES).double().train()
    batch = make_batch(samples=4, window=FRAMES)
    batch["valid"][:] = True
    before = {name: value.clone() for name, value in model.state_dict().items()}
    naive = step(model, apart(batch))
    after = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(before)
    same(naive, step(model, batch))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, after[name], msg=name)
    moved = any(not torch.equal(after[name], value) for name, value in before.items() if "_backbone" in name)
    assert moved == (options["batch_norm"] == "weighted")


def test_ordinary_batch_norms_count_shared_frames_once(make_model, make_batch, micro):
    """What packing does otherwise: close to the naive computation, and not the same."""
    model = make_model(replace(micro, dropout=0.0), "convgru", FRAMES).double().train()
    batch = make_batch(samples=4, window=FRAMES)
    batch["valid"][:] = True
    naive, packed = step(model, apart(batch))[0], step(model, batch)[0]
    assert not torch.isclose(naive, packed, rtol=1e-6)
    assert torch.isclose(naive, packed, rtol=0.05)


def test_weights_of_one_are_the_ordinary_batch_norm():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 4, 6)
    one, other = FrameBatchNorm(3), torch.nn.BatchNorm2d(3)
    one.kind = "weighted"
    with counting(one, torch.ones(5)):
        torch.testing.assert_close(one(x), other(x))
    torch.testing.assert_close(one.state_dict(), other.state_dict())


@pytest.mark.parametrize("history", [0, 1, 2, 3])
def test_the_gradient_is_that_of_detached_history(make_model, make_batch, micro, history, monkeypatch):
    model, batch = make(make_model, micro, history_grad=history), make_batch(samples=4, window=FRAMES)
    naive = make(make_model, micro)
    naive.load_state_dict(model.state_dict())

    def fuse(bev, view):
        windows = gather_windows(bev, view["frame_index"], view["valid"])
        parts = [w if FRAMES - 1 - t <= history else w.detach() for t, w in enumerate(windows.unbind(1))]
        return naive.fusion(torch.stack(parts, 1), view["pose"], view["dt"], view["valid"])

    monkeypatch.setattr(naive, "fuse", fuse)
    for data in (batch, apart(batch)):
        same(step(naive, data), step(model, data))


def test_frames_without_gradient_are_encoded_without(make_model, make_batch, micro, monkeypatch):
    model, batch = make(make_model, micro, history_grad=0), make_batch(samples=1, window=FRAMES)
    batch["valid"][:] = True
    seen = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda c, *x: seen.append((len(c), torch.is_grad_enabled())) or encode(c, *x))
    model(batch)
    assert seen == [(1, True), (FRAMES - 1, False)]
    seen.clear()
    with torch.no_grad():
        model(batch)
    assert seen == [(FRAMES, False)]


def test_full_history_is_all_of_it(make_model, make_batch, micro):
    batch = make_batch(samples=2, window=FRAMES)
    model, full = make(make_model, micro, history_grad=FRAMES - 1), make(make_model, micro)
    full.load_state_dict(model.state_dict())
    same(step(full, batch), step(model, batch))


def test_used_frames_keep_every_window(make_batch):
    batch = make_batch(samples=4, window=FRAMES)
    view = used_frames(batch, 2)
    shown = view["camera"][view["frame_index"]]
    index = batch["frame_index"][:, -2:].where(batch["valid"][:, -2:], batch["frame_index"][:, -1:])
    torch.testing.assert_close(shown, batch["camera"][index])


def test_a_negative_number_is_refused(micro):
    with pytest.raises(UserError, match=r"model\.history_grad is -1"):
        replace(micro, history_grad=-1)
