"""The policy for a device whose memory is used up: the run ends (``trainer.on_oom=fail``) or halves its batch."""

from __future__ import annotations

from typing import Any

from callbacks.criteria.memory import is_out_of_memory
from wotempo.config.schema import RunConfig

FACT = "out_of_memory"


class OutOfMemoryPolicy:
    """Whether and how a run goes on after its device ran out of memory; sets the batch size of ``config``.

    Under ``halve`` the effective batch, the schedule and the order of the windows stay: the gradients of twice as many
    batches are accumulated. What changes: batch norms see fewer samples.

    ``past``: one entry per time the memory was used up, of the attempts before; the verdict keeps them.
    """

    def __init__(self, config: RunConfig, past: list[dict[str, Any]]) -> None:
        self.config, self.past, self.goes_on = config, past, False
        for entry in past:
            config.trainer.batch_size = entry["batch_size"] // 2
            config.trainer.accumulate_grad_batches = entry["accumulate_grad_batches"] * 2

    def reason(self, error: BaseException, step: int) -> str | None:
        """Adds an entry to ``past`` -> a sentence on how the run goes on; None where ``error`` ends it."""
        trainer = self.config.trainer
        if trainer.on_oom != "halve" or trainer.batch_size % 2 or not is_out_of_memory(error):
            return None
        sizes = {"batch_size": trainer.batch_size, "accumulate_grad_batches": trainer.accumulate_grad_batches}
        self.past.append({"step": step, **sizes})
        self.goes_on = True
        size = trainer.batch_size
        return f"out of memory with batches of {size}; it goes on with twice as many of {size // 2}"
