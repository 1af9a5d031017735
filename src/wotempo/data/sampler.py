"""Order of the windows: runs of neighbours that share frames, the runs shuffled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import DistributedSampler

from wotempo.data.dataset import WindowDataset


def chains(dataset: WindowDataset) -> list[np.ndarray]:
    """Positions of the windows in log order, cut wherever a window shares no frame with the one before."""
    phase = dataset.log_index % dataset.frame_stride  # windows of different phases have no frame in common
    order = np.lexsort((dataset.log_index, phase, dataset.log))
    log, phase, index = dataset.log[order], phase[order], dataset.log_index[order]
    reach = max(dataset.num_frames - 1, 1) * dataset.frame_stride
    apart = (np.diff(log) != 0) | (np.diff(phase) != 0) | (np.diff(index) > reach)
    return np.split(order, np.flatnonzero(apart) + 1)


class RunSampler(DistributedSampler):
    """Yields (position, epoch), every window once per epoch. K neighbouring windows of T frames need K + T − 1 frames.

    The chains are cut into runs of ``run_length`` at a random phase and the runs are shuffled: a pure function of
    (seed, epoch). A batch size that ``run_length`` divides keeps most runs in one batch.
    Without ``shuffle`` the order is the dataset's and the epoch always 0, so that evaluations compare.
    Several ranks take contiguous shares of that one order; the last share is filled up from the start of the order,
    as torch's DistributedSampler does, because ranks must take equally many steps.

    ``resume_at`` makes one epoch start in its middle, without looking at the windows before.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        run_length: int,
        shuffle: bool = True,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=shuffle, seed=seed, drop_last=False)
        self.run_length = run_length
        self._count = len(dataset)
        self._chains = chains(dataset) if shuffle else []
        self._begun = (0, 0)  # an epoch, and how many windows of this rank's share were taken before

    def resume_at(self, epoch: int, windows: int) -> None:
        """Go to ``epoch``, of which this rank took ``windows`` before the run was interrupted."""
        self.set_epoch(epoch)
        self._begun = (epoch, windows)

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self._count)
        generator = np.random.default_rng([self.seed, self.epoch])
        runs: list[np.ndarray] = []
        for chain in self._chains:
            phase = int(generator.integers(self.run_length))
            runs.extend(run for run in np.split(chain, range(phase, len(chain), self.run_length)) if len(run))
        return np.concatenate([runs[i] for i in generator.permutation(len(runs))])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.resize(self._order(), self.total_size)  # np.resize repeats from the start
        epoch = self.epoch if self.shuffle else 0
        mine = order[self.rank * self.num_samples : (self.rank + 1) * self.num_samples]
        begun, taken = self._begun
        return iter([(int(position), epoch) for position in mine[taken if self.epoch == begun else 0 :]])
