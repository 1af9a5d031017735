"""What trajectories share is computed once, and nothing else changes: against the twin that shares nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from defaults import loss_weights
from plain_wote import plain_of

from wotempo.planners.wote.losses import compute_losses

VARIANTS = [(mode, steps) for mode in ("compat", "fixed") for steps in (1, 2, 4)]


def run(model, batch):
    model.zero_grad()
    out = model(batch)
    losses = compute_losses(out, batch, loss_weights())
    sum(losses.values()).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return out, losses, gradients


@pytest.mark.parametrize(("mode", "steps"), VARIANTS)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_outputs_losses_and_gradients_in_float64(make_model, make_batch, micro, mode, steps, training):
    config = replace(micro, mode=mode, future_steps=steps)
    model, batch = make_model(config).double().train(training), make_batch(config)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    expected = run(plain_of(model), batch)
    statistics = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    found = run(model, batch)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            torch.testing.assert_close(mine[key], value, rtol=1e-8, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}")
    torch.testing.assert_close(model.state_dict(), statistics, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("mode", "steps"), VARIANTS)
def test_plans(make_model, make_batch, micro, mode, steps):
    config = replace(micro, mode=mode, future_steps=steps)
    model, batch = make_model(config).double().eval(), make_batch(config)
    torch.testing.assert_close(model.plan(batch), plain_of(model).plan(batch), rtol=1e-8, atol=1e-10)
