"""Classes of the BEV map that count for more."""

from __future__ import annotations

import pytest
import torch
from defaults import loss_weights

from wotempo.errors import UserError
from wotempo.planners.wote.losses import compute_losses, focal_loss

WEIGHTS = [0.5, 2.0, 3.0]


def test_a_cell_counts_by_its_true_class():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    target = torch.randint(3, (2, 4, 5), generator=generator)
    weighted = focal_loss(logits, target, torch.tensor(WEIGHTS))
    by_class = 0.0
    for k, weight in enumerate(WEIGHTS):  # the loss of the cells of one class, as a share of all cells
        alone = logits.permute(0, 2, 3, 1)[target == k].T[None, :, :, None]
        cells = torch.full((1, alone.shape[2], 1), k)
        by_class += weight * focal_loss(alone, cells) * cells.numel() / target.numel()
    torch.testing.assert_close(weighted, by_class)
    torch.testing.assert_close(focal_loss(logits, target, torch.ones(3)), focal_loss(logits, target))
    assert not torch.isclose(weighted, focal_loss(logits, target))


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_are_not_positive_are_refused(weights):
    with pytest.raises(UserError, match="map_class_weights"):
        loss_weights(map_class_weights=weights)


def test_another_number_of_classes_is_refused_with_both_numbers():
    predictions = {"im_rewards": torch.zeros(1, 1), "bev_semantic_map": torch.zeros(1, 8, 2, 2)}
    with pytest.raises(UserError, match="3 numbers, the map has 8 classes"):
        compute_losses(predictions, {}, loss_weights(map_class_weights=WEIGHTS))
