"""A framework that cries wolf is switched off: healthy runs with other seeds, data and noise are all accepted."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader
from toy_drive import batches
from toy_run import ToyModule, judge


@pytest.mark.slow
def test_healthy_noisy_runs_are_accepted(tmp_path):
    rejected = []
    for seed in range(24):
        torch.manual_seed(seed)  # of the weights
        module = ToyModule(noise=0.2 + 0.01 * seed)  # the spread of a batch's loss: 20 to 43 %
        train = DataLoader(batches(60 + 2 * seed, seed=seed), batch_size=None)
        report, _ = judge(tmp_path / str(seed), module, train, seed=seed, accumulate_grad_batches=1 + seed % 2)
        if report.exit_code != 0:
            rejected.append((seed, report.reason))
    assert not rejected
