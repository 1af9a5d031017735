"""Ranks that come to a place and ranks that do not, on a store of one process: see test_fault_ranks.py for two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from patience import HANGS_S

from callbacks.base.rendezvous import all_come


@pytest.fixture
def ranks(monkeypatch):
    store = torch.distributed.HashStore()
    monkeypatch.setattr("torch.distributed.distributed_c10d._get_default_store", lambda: store)
    return SimpleNamespace(world_size=3)


def together(trainer, place: str, how_many: int, patience: float) -> list[bool]:
    with ThreadPoolExecutor(how_many) as pool:
        return list(pool.map(lambda _: all_come(trainer, place, patience), range(how_many)))


def test_all_of_them_come_once_and_again(ranks):
    for _ in range(2):
        assert together(ranks, "epoch_end/0/20", 3, HANGS_S) == [True] * 3


def test_who_comes_alone_goes_on_waiting_for_so_long_only(ranks):
    assert together(ranks, "epoch_end/0/20", 2, 0.2) == [False, False]


def test_another_place_is_not_this_one(ranks):
    assert together(ranks, "validation/0/20", 2, 0.2) == [False, False]
    assert not all_come(ranks, "epoch_end/0/20", 0.2)


def test_one_process_asks_nobody():
    assert all_come(SimpleNamespace(world_size=1), "epoch_end/0/20", 0.0)
