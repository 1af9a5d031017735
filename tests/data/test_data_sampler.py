from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from wotempo.data.sampler import RunSampler, chains


class Windows(SimpleNamespace):
    """What the sampler looks at of a dataset: ``logs`` lists of indices of current frames."""

    def __init__(self, logs, num_frames=4, frame_stride=1):
        pairs = [(log, index) for log, indices in enumerate(logs) for index in indices]
        log, index = (np.array(column) for column in zip(*pairs, strict=True))
        super().__init__(log=log, log_index=index, num_frames=num_frames, frame_stride=frame_stride)

    def __len__(self) -> int:
        return len(self.log)

    def frames(self, positions) -> set:
        back = np.arange(self.num_frames) * self.frame_stride
        return {(self.log[p], i) for p in positions for i in self.log_index[p] - back}


LOGS = [range(3, 103), [*range(3, 40), *range(60, 77)], range(3, 8)]


def run_sampler(windows: Windows, run_length: int = 4, **options) -> RunSampler:
    return RunSampler(windows, run_length, **options)  # type: ignore[arg-type]


def positions(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_window_once_and_the_epoch_travels_with_it():
    windows = Windows(LOGS)
    for epoch in (0, 1, 5):
        drawn = positions(run_sampler(windows, seed=3), epoch)
        assert sorted(position for position, _ in drawn) == list(range(len(windows)))
        assert {e for _, e in drawn} == {epoch}
    assert len(run_sampler(windows)) == len(windows)


def test_order_is_a_function_of_seed_and_epoch():
    windows = Windows(LOGS)
    assert positions(run_sampler(windows, seed=1), 2) == positions(run_sampler(windows, seed=1), 2)
    orders = {tuple(p for p, _ in positions(run_sampler(windows, seed=s), e)) for s in range(3) for e in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize(("num_frames", "stride"), [(4, 1), (2, 1), (4, 2)])
def test_runs_share_frames(num_frames, stride):
    windows = Windows([range(10, 210)], num_frames, stride)
    order = [p for p, _ in run_sampler(windows, run_length=4)]
    batches = [order[i : i + 16] for i in range(0, len(order), 16)]
    loaded = np.mean([len(windows.frames(batch)) for batch in batches[:-1]])
    ideal = 4 * (4 + num_frames - 1)
    assert ideal * 0.8 <= loaded <= ideal * 1.1
    alone = [p for p, _ in run_sampler(windows, run_length=1)]
    spread = np.mean([len(windows.frames(alone[i : i + 16])) for i in range(0, 192, 16)])
    assert spread > 1.3 * loaded


def test_the_cut_of_the_runs_moves_with_the_epoch():
    windows = Windows([range(3, 203)])
    neighbours = []
    for epoch in range(8):
        order = [p for p, _ in positions(run_sampler(windows, run_length=4), epoch)]
        neighbours.append({(a, b) for a, b in pairwise(order) if b == a + 1})
    assert len({frozenset(pairs) for pairs in neighbours}) > 1
    assert len(set.union(*neighbours)) == 199  # no pair of neighbours is always apart


def test_chains_break_where_windows_share_nothing():
    windows = Windows([[3, 4, 7, 11, 12], [3]], num_frames=4)
    assert [windows.log_index[chain].tolist() for chain in chains(windows)] == [[3, 4, 7], [11, 12], [3]]
    strided = Windows([[8, 9, 10, 11]], num_frames=2, frame_stride=2)
    assert [strided.log_index[chain].tolist() for chain in chains(strided)] == [[8, 10], [9, 11]]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("replicas", [2, 3, 7])
def test_ranks_take_equal_shares_and_lose_nothing(shuffle, replicas):
    windows = Windows(LOGS)
    shares = [
        positions(run_sampler(windows, shuffle=shuffle, num_replicas=replicas, rank=rank), 4)
        for rank in range(replicas)
    ]
    assert len({len(share) for share in shares}) == 1
    drawn = [position for share in shares for position, _ in share]
    assert set(drawn) == set(range(len(windows)))
    assert len(drawn) - len(windows) < replicas


def test_evaluation_keeps_the_order_and_the_epoch():
    windows = Windows(LOGS)
    for epoch in (0, 3):
        drawn = positions(run_sampler(windows, shuffle=False), epoch)
        assert drawn == [(i, 0) for i in range(len(windows))]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_resumed_epoch_goes_on_where_it_was_left_and_the_next_is_whole(rank):
    def sampler():
        return run_sampler(Windows(LOGS), seed=2, num_replicas=2, rank=rank)

    resumed = sampler()
    resumed.resume_at(3, 20)
    assert list(resumed) == positions(sampler(), 3)[20:]
    assert positions(resumed, 4) == positions(sampler(), 4)
