"""A loader of workers whose batches do not fit into /dev/shm, in a process that has little of it."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from wotempo.data.workers import SharedBatches, begin, watched
from wotempo.endings import ended_by

if __name__ == "__main__":
    torch.set_num_threads(1)
    collate = SharedBatches(lambda _: {"camera": torch.zeros(1_000_000, dtype=torch.uint8)})
    loader: DataLoader = DataLoader(range(4), 1, num_workers=1, collate_fn=collate, worker_init_fn=begin)  # type: ignore[arg-type]
    try:
        print(len(list(watched(iter(loader), 1))), "batches")
    except Exception as error:
        raise SystemExit(ended_by(error)) from None
