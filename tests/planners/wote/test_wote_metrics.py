"""Validation metrics against hand-made numbers."""

from __future__ import annotations

import pytest
import torch

from wotempo.planners.metrics import VEHICLE, displacement
from wotempo.planners.wote.metrics import ValidationMetrics
from wotempo.targets.spec import BevClass


def test_displacement_is_average_and_final_distance():
    truth = torch.zeros(1, 8, 3)
    plan = torch.zeros(1, 8, 3)
    plan[0, :, 0] = torch.arange(1, 9).float()
    plan[0, :, 2] = 9.0  # heading is no distance
    ade, fde = displacement(plan, truth)
    assert ade.item() == pytest.approx(4.5)
    assert fde.item() == 8


def test_rewards_and_map():
    metrics = ValidationMetrics(num_classes=6)
    truth = torch.tensor([1.0, 1.0, 0.5, 1.0, 0.0])[None, :, None].repeat(1, 1, 4)
    predicted = torch.tensor([0.9, 0.1, 0.75, 0.9, 0.9])[None, :, None].repeat(1, 1, 4)
    target = torch.tensor([[[0, 0], [1, 1]]], dtype=torch.uint8)
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [1, 1]]]), 6).permute(0, 3, 1, 2).float()
    future = torch.tensor([[[[0, 5], [5, 5]]]])  # one anchor sampled
    later = torch.nn.functional.one_hot(torch.tensor([[[0, 0], [5, 0]]]), 6).permute(0, 3, 1, 2).float()
    plan = {"trajectory": torch.zeros(1, 8, 3), "sim_rewards": predicted, "bev_semantic_map": logits}
    plan["fut_bev_semantic_map"] = later
    batch = {"trajectory": torch.zeros(1, 8, 3), "sim_reward": truth, "bev_map": target, "future_map": future}
    metrics.update(plan, batch)
    values = {name: value.item() for name, value in metrics.compute().items()}
    assert values["val/nc_accuracy"] == 1
    assert values["val/dac_accuracy"] == 0
    assert values["val/ep_mae"] == pytest.approx(0.25)
    assert values["val/comfort_accuracy"] == 0
    assert values["val/bev_miou"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert values["val/future_bev_vehicle_iou"] == pytest.approx(1 / 3)
    assert values["val/future_bev_miou"] == pytest.approx((1 / 3 + 1 / 3) / 2)
    metrics.reset()
    assert not metrics.scalars["ade"].update_called


def test_vehicles_are_the_class_that_targets_paint():
    assert VEHICLE == BevClass.VEHICLE
