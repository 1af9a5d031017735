"""Do all ranks come to a place that one of them may have come to alone? Asked without a collective of the run.

A rank that leaves an epoch alone cannot ask the others by a collective: theirs is the next gradient, and both would
wait for ever. It asks in the key-value store through which the process group was built, and waits for some time.
"""

from __future__ import annotations

import time

from lightning.pytorch import Trainer

EVERY = 0.05  # seconds between two looks


def all_come(trainer: Trainer, place: str, patience: float) -> bool:
    """True as soon as every rank has called this with the same ``place``, False after ``patience`` seconds."""
    if trainer.world_size == 1:
        return True
    from torch.distributed.distributed_c10d import _get_default_store  # no public name leads to it

    store, ranks = _get_default_store(), trainer.world_size
    here = store.add(f"acceptance/{place}", 1)
    everyone = -(-here // ranks) * ranks  # a second fit of the same processes may come to the same place
    until = time.monotonic() + patience
    while store.add(f"acceptance/{place}", 0) < everyone:
        if time.monotonic() > until:
            return False
        time.sleep(EVERY)
    return True
