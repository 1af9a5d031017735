"""Which frames are encoded: told by the plain numbers of the batch as by its tensors, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from defaults import loss_weights

from wotempo.planners.backbone.frames import host_rows, lidar_history, used_frames
from wotempo.planners.wote.losses import compute_losses

WAYS = {
    "all": {},
    "no gradient of history": {"history_grad": 0},
    "LiDAR history": {"history_sensors": "lidar"},
    "LiDAR history without gradient": {"history_sensors": "lidar", "history_grad": 1, "batch_norm": "frozen"},
    "weighted": {"batch_norm": "weighted"},
}


def with_rows(batch):
    return {**batch, "frame_rows": batch["frame_index"].where(batch["valid"], -1).tolist()}


@pytest.mark.parametrize("frames", [3, 4])
@pytest.mark.parametrize("way", WAYS)
def test_the_step_is_the_same_to_the_bit(make_model, make_batch, micro, way, frames):
    model = make_model(replace(micro, dropout=0.0, **WAYS[way]), "convgru", frames).train()
    batch = make_batch(samples=4, window=4, runs=2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = []
    for given in (batch, with_rows(batch)):
        model.load_state_dict(state)
        model.zero_grad()
        loss = torch.stack(list(compute_losses(model(given), given, loss_weights()).values())).sum()
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_rows_follow_the_frames(make_batch):
    for frames in (1, 2, 4):
        batch = with_rows(make_batch(samples=4, window=4))
        view = used_frames(batch, frames)
        for of in (view, lidar_history(view)):
            rows, valid = host_rows(of), of["valid"].numpy()
            assert (rows >= 0).tolist() == valid.tolist()
            assert rows[valid].tolist() == of["frame_index"].numpy()[valid].tolist()
            assert sorted(set(rows[valid].tolist())) == list(range(len(of["lidar"])))
