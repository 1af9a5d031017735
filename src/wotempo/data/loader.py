"""A loader whose random numbers do not depend on how often it was started before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from wotempo.data.dataset import WindowDataset
from wotempo.data.sampler import RunSampler
from wotempo.data.workers import LOOK_S, SharedBatches, begin, watched


class WindowLoader(DataLoader):
    """Seeds its workers from (seed, epoch), and ends with one sentence where they cannot go on.

    torch would draw that seed from the global stream at every start; an interrupted run starts its loader once more
    than an uninterrupted one, and every dropout mask after it would differ.
    """

    def __init__(self, dataset: WindowDataset, sampler: RunSampler | None, seed: int, **options: Any) -> None:
        if options.get("num_workers"):
            collate = options["collate_fn"]
            options["collate_fn"] = collate if isinstance(collate, SharedBatches) else SharedBatches(collate)
            options |= {"worker_init_fn": begin, "timeout": LOOK_S}
        super().__init__(dataset, sampler=sampler, generator=torch.Generator(), **options)
        self._seed = seed

    def __iter__(self) -> Any:
        # For prediction Lightning makes the loader anew, with a batch sampler around ours; there is one epoch then.
        epoch = self.sampler.epoch if isinstance(self.sampler, RunSampler) else 0
        state = np.random.SeedSequence([self._seed, epoch]).generate_state(1, np.uint64)
        assert isinstance(self.generator, torch.Generator)
        self.generator.manual_seed(int(state[0]) >> 1)
        batches = super().__iter__()
        return watched(batches, self.num_workers) if self.num_workers else batches
