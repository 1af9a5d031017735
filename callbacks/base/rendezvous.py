"""A rendezvous with a time limit: whether all ranks reach a place in the code, found out without a collective.

A rank that ends an epoch alone cannot use a collective: that of the others is the next gradient, and all would wait
for ever. Each rank counts itself in the key-value store through which the process group was built, and polls.
"""

from __future__ import annotations

import time

from lightning.pytorch import Trainer

EVERY = 0.05  # seconds between two looks


def all_come(trainer: Trainer, place: str, patience: float) -> bool:
    """True once every rank has called this with the same ``place``; False after ``patience`` seconds."""
    if trainer.world_size == 1:
        return True
    from torch.distributed.distributed_c10d import _get_default_store  # no public name leads to it

    store, ranks = _get_default_store(), trainer.world_size
    here = store.add(f"acceptance/{place}", 1)
    expected = -(-here // ranks) * ranks  # a second fit of the same processes may come to the same place
    until = time.monotonic() + patience
    while store.add(f"acceptance/{place}", 0) < expected:
        if time.monotonic() > until:
            return False
        time.sleep(EVERY)
    return True
