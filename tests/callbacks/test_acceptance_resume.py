"""A resumed run is judged as one run: what the criteria saw before counts."""

from __future__ import annotations

import math
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerStatus
from toy_drive import loader
from toy_run import ToyModule, judge, ten_guards

from callbacks import FiniteGuard, LossGuard, MemoryGuard


class StopAfter(L.Callback):
    """Cuts the run after the first epoch, as a time limit would."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


def two_parts(tmp_path, first, second):
    """One epoch of three under the guards ``first``, then the rest under ``second``, from the last checkpoint."""
    part_one, _ = judge(tmp_path, train=loader(24), guards=first, extra=(StopAfter(),), max_epochs=3)
    last = str(tmp_path / "checkpoints" / "last.ckpt")
    torch.load(last, weights_only=True)  # the states of the guards are plain data
    return part_one, judge(tmp_path, train=loader(24), guards=second, max_epochs=3, ckpt_path=last)


def test_resumed_run_is_accepted_and_counts_everything(tmp_path):
    part_one, (report, raised) = two_parts(tmp_path, ten_guards(), ten_guards())
    assert (part_one.status, part_one.exit_code) == ("incomplete", 15)
    assert raised is None
    assert report.exit_code == 0, report.card()
    by_name = {guard.name: guard for guard in report.guards}
    assert by_name["loss"].details["batches"] == 72
    assert by_name["finite"].details["steps"] == 72
    assert by_name["history"].details["history_frames"] > 72 * 4 * 3
    assert by_name["complete"].measured == 3


def test_peak_of_the_first_part_counts(tmp_path):
    def guards(gigabytes: float):
        return ten_guards(memory=MemoryGuard(every=8, read_bytes=lambda device: gigabytes * 1e9))

    _, (report, _) = two_parts(tmp_path, guards(30.0), guards(5.0))
    assert report.guards[2].measured == 30.0


def test_warning_of_the_first_part_stays(tmp_path):
    def guards(gigabytes: float):
        return ten_guards(memory=MemoryGuard(every=8, policy="warn", read_bytes=lambda device: gigabytes * 1e9))

    _, (report, _) = two_parts(tmp_path, guards(50.0), guards(5.0))
    assert report.guards[2].status == "fail"
    assert report.exit_code == 0


def test_run_that_failed_may_be_repaired_and_resumed(tmp_path):
    """The failure ended the first attempt; the file that was rescued must not condemn the second."""

    class Rescue(L.Callback):
        def on_exception(self, trainer, pl_module, exception):
            trainer.save_checkpoint(tmp_path / "rescue.ckpt")

    class Nan(ToyModule):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * math.nan if self.current_epoch == 1 and batch_idx == 0 else loss

    guards = [FiniteGuard(), MemoryGuard()]
    report, _ = judge(tmp_path, Nan(), loader(24), guards=guards, extra=(Rescue(),), max_epochs=2)
    assert report.exit_code == 10
    again = [FiniteGuard(), MemoryGuard()]
    report, raised = judge(tmp_path, train=loader(24), guards=again, max_epochs=2, ckpt_path=tmp_path / "rescue.ckpt")
    assert raised is None
    assert report.exit_code == 0, report.card()


@pytest.mark.parametrize(
    ("ranks_now", "losses"), [(2, [[[1.0]], [[2.0]]]), (3, [[[1.0]], [[1.0]], [[1.0]]])], ids=["as many", "more"]
)
def test_each_rank_gets_its_own_memory_back(monkeypatch, ranks_now, losses):
    """Else a fault of rank 1 would vanish behind what rank 0 had seen. With other ranks nobody's is one's own."""
    before = [rank_of(LossGuard(), rank, 2) for rank in range(2)]
    for rank, guard in enumerate(before):
        guard.memory["losses"] = [[rank + 1.0]]
    monkeypatch.setattr("callbacks.base.guard.share", lambda trainer, value: [guard.memory for guard in before])
    saved = before[0].state_dict()  # rank 0 writes the file
    now = [rank_of(LossGuard(), rank, ranks_now) for rank in range(ranks_now)]
    for guard in now:
        guard.load_state_dict(saved)
    assert [guard.memory["losses"] for guard in now] == losses


def rank_of(guard: LossGuard, rank: int, ranks: int) -> LossGuard:
    state = SimpleNamespace(status=TrainerStatus.RUNNING)
    guard.trainer = SimpleNamespace(global_rank=rank, world_size=ranks, state=state)
    return guard
