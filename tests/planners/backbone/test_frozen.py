"""A frozen encoder: its maps stand for the images, it does not learn, and its hash is that of its weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from defaults import loss_weights

from wotempo.errors import UserError
from wotempo.planners.backbone.frozen import FrozenEncoder, weights_hash
from wotempo.planners.wote.losses import compute_losses


@pytest.fixture
def model(make_model, micro):
    return make_model(replace(micro, frozen_backbone=True), "convgru", 3)


def cached(model, batch):
    encoder = FrozenEncoder(model)
    frames = zip(batch["camera"].numpy(), batch["lidar"].numpy(), strict=True)
    maps = torch.stack([torch.from_numpy(encoder(camera, lidar)) for camera, lidar in frames])
    return {**{key: value for key, value in batch.items() if key != "camera"}, "bev": maps}


def test_cached_maps_give_the_losses_and_gradients_of_the_images(model, make_batch):
    batch = make_batch()
    model.train()
    grads = []
    for given in (batch, cached(model, batch)):
        model.zero_grad()
        losses = compute_losses(model(given), given, loss_weights())
        torch.stack(list(losses.values())).sum().backward()
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert set(grads[0]) == set(grads[1])
    assert not any(name.startswith("_backbone") for name in grads[0])
    assert any(name.startswith("fusion") for name in grads[0])
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-3, atol=1e-5)


def test_training_leaves_the_encoder_as_it_is(model, make_batch):
    before = weights_hash(model._backbone)
    model.train()
    assert not model._backbone.training
    assert model.fusion.training
    model(make_batch())
    assert weights_hash(model._backbone) == before  # running statistics, too


def test_the_fingerprint_follows_the_weights(model):
    encoder = FrozenEncoder(model)
    assert encoder.fingerprint == FrozenEncoder(model).fingerprint
    with torch.no_grad():
        next(model._backbone.parameters()).add_(1e-6)
    assert encoder.fingerprint != FrozenEncoder(model).fingerprint
    assert encoder.shape == (model.config.bev_channels, 4, 4)


@pytest.mark.parametrize("options", [{"history_grad": 0}, {"history_sensors": "lidar", "batch_norm": "frozen"}])
def test_what_would_need_other_maps_is_refused(make_model, micro, options):
    with pytest.raises(UserError, match="caches one map per frame"):
        make_model(replace(micro, frozen_backbone=True, **options), "convgru", 3)
