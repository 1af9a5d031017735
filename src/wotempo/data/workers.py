"""Worker processes of a loader that fail loudly: what stops one reaches the main process as an error.

torch moves a finished batch into shared memory in a thread of the worker; where that fails it prints a traceback, drops
the batch, and the main process waits for it for ever (pytorch issues 1355 and 5040).
"""

from __future__ import annotations

import gc
import multiprocessing.queues
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.utils.data import get_worker_info

from wotempo.data.shared_memory import ENLARGE, state_of
from wotempo.errors import UserError
from wotempo.system_errors import limit_reached

WAIT_S = 600.0  # for one batch: longer than any file server needs
LOOK_S = 60.0  # then torch looks whether its workers live
TIMED_OUT = "DataLoader timed out"
FEWER = "or set num_workers=0"
OURS = re.compile(r"Caught UserError in DataLoader worker.*UserError: (.*)", re.DOTALL)
SHARING = ("shared memory", "</torch_", "Bus error")


class SharedBatches:
    """``collate`` whose tensors lie in shared memory when it returns in a worker: a failure is raised where torch
    hands it to the main process."""

    def __init__(self, collate: Callable[[Sequence[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, items: Sequence[Any]) -> Any:
        batch = self.collate(items)
        if get_worker_info() is not None:
            apply_to_collection(batch, Tensor, Tensor.share_memory_)
        return batch


def begin(_: int) -> None:
    """The first call of a worker process: what its queue cannot send ends it, which the main process notices. What it
    shares with that process is left alone by its garbage collector, which would copy it page by page."""
    gc.freeze()
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end)  # type: ignore[attr-defined]


def _end(error: BaseException, _: Any) -> None:
    reason = limit_reached(error) or f"{type(error).__name__}: {error}"
    print(f"a loader worker cannot hand over its batch: {reason}", file=sys.stderr, flush=True)
    os._exit(1)


def watched(batches: Iterator[Any], workers: int) -> Iterator[Any]:
    """The batches of so many workers; UserError, in one sentence, for what a user can mend of their failures."""
    waited = 0.0
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:
            waited += LOOK_S
            if TIMED_OUT in str(error) and waited < WAIT_S:
                continue
            if (reason := _reason(str(error), workers, limit_reached(error))) is None:
                raise
            raise UserError(reason) from error
        waited = 0.0
        yield batch


def _reason(text: str, workers: int, limit: str | None) -> str | None:
    if ours := OURS.search(text):
        return " ".join(ours.group(1).split())
    if any(word in text for word in SHARING) and "Too many open files" not in text:
        return f"the shared memory is used up by {workers} loader workers, {state_of()}: {ENLARGE}, {FEWER}"
    if TIMED_OUT in text:
        return (
            f"no batch came from {workers} loader workers for {WAIT_S:.0f} s ({state_of()}): look whether the disk of "
            f"the caches answers, {ENLARGE}, {FEWER}"
        )
    if limit is not None:
        return limit
    if "DataLoader worker" in text and ("killed by signal" in text or "exited unexpectedly" in text):
        return (
            f"a loader worker was killed, most likely because the memory is used up ({state_of()}): use smaller "
            f"batches or fewer workers, {FEWER}"
        )
    return None
