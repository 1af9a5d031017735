"""A device whose memory is used up: the run ends by the memory criterion, or goes on with half the batch."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from verdicts import criterion

from wotempo.training.module import LitPlanner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
RUN = ("experiment=convgru_1epoch", "trainer.max_epochs=2", "trainer.batch_size=4",
       "trainer.checkpoint_every_n_steps=3", "model.batch_norm=frozen",
       "acceptance.loss.allow_inconclusive=true")  # fmt: skip


@pytest.fixture
def full(monkeypatch):
    """Makes batches of more than two samples fail from the optimiser step ``full.at`` on, and notes all others."""

    class Full:
        at = 5
        steps: ClassVar[dict[int, list]] = {}

    plain = LitPlanner.training_step

    def step(self, batch, batch_idx):
        if self.global_step >= Full.at and len(batch["tokens"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        Full.steps.setdefault(self.global_step, []).append(tuple(batch["tokens"]))
        return plain(self, batch, batch_idx)

    Full.steps = {}
    monkeypatch.setattr(LitPlanner, "training_step", step)
    return Full


def test_by_default_the_memory_criterion_fails(train, full):
    code, verdict = train(*RUN)
    assert (code, verdict["status"]) == (11, "rejected")
    assert "out of memory: CUDA out of memory" in verdict["reason"]


def test_halved_the_run_keeps_its_effective_batches_and_schedule(train, full):
    full.at = 10**9
    _, whole = train(*RUN)
    expected, full.steps = full.steps, {}
    full.at = 5
    code, verdict = train(*RUN, "trainer.on_oom=halve")
    assert code == 0, verdict["reason"]
    assert verdict["facts"]["signature"] == whole["facts"]["signature"]
    assert verdict["facts"]["out_of_memory"] == [{"step": 5, "batch_size": 4, "accumulate_grad_batches": 1}]
    assert verdict["facts"]["resumed"][0]["step"] == 3
    assert "batches of 4; it goes on with twice as many of 2" in verdict["facts"]["resumed"][0]["reason"]
    assert verdict["steps"] == whole["steps"]
    for step, batches in expected.items():  # steps 3 and 4 were lost with the memory, and done again
        seen = full.steps[step][1:] if step in (3, 4) else full.steps[step]
        assert sum(seen, ()) == sum(batches, ()), step
    rates = {v["run_dir"]: criterion(v, "learning_rate")["details"]["highest_by_group"] for v in (whole, verdict)}
    assert rates[whole["run_dir"]] == pytest.approx(rates[verdict["run_dir"]])


def test_a_single_sample_that_does_not_fit_is_a_failure(train, full, monkeypatch):
    def step(self, batch, batch_idx):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(LitPlanner, "training_step", step)
    code, verdict = train(*RUN, "trainer.batch_size=2", "trainer.on_oom=halve")
    assert (code, verdict["status"]) == (11, "rejected")
    assert verdict["facts"]["out_of_memory"] == [{"step": 0, "batch_size": 2, "accumulate_grad_batches": 1}]
