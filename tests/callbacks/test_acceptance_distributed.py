"""Two processes (gloo): a fault on one rank ends both, with the reason of the rank that has it."""

from __future__ import annotations

import json
import math
import os
import warnings
from pathlib import Path

import torch
from free_port import free_port
from fresh_process import fresh, joined
from lightning.pytorch.callbacks import ModelCheckpoint
from toy_drive import loader
from toy_run import STEPS, ToyModule, ten_guards, toy_trainer

from callbacks import AcceptanceReport, Guard, exit_code_of


class OneRankFails(ToyModule):
    """A loss term without gradient is NaN on rank 1 only: no all-reduce of gradients would spread it."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.global_rank == 1 and batch_idx == 10:
            self.loss_terms["heading"] = self.loss_terms["heading"].detach() * math.nan
        return loss


class NoFinalFile(ToyModule):
    def on_save_checkpoint(self, checkpoint):
        checkpoint["global_step"] = 1


class OneRankObjects(Guard):
    """Comes to its own conclusion on each rank."""

    name, number, exit_code = "opinion", 11, 99

    def conclude(self, trainer, pl_module):
        self.record("fail" if trainer.global_rank == 1 else "pass", f"rank {trainer.global_rank} says so", 0)


def one_rank(rank: int, port: int, folder: Path, module: ToyModule, *extra: Guard) -> None:
    """What torchrun starts; writes the end of this rank as a file."""
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    warnings.simplefilter("ignore")
    report = AcceptanceReport(folder / "acceptance")
    saver = ModelCheckpoint(folder / "checkpoints")
    options = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
    trainer = toy_trainer(folder, *ten_guards(), *extra, report, saver, **options)
    raised = None
    try:
        trainer.fit(module, loader(STEPS), loader(1))
    except Exception as error:
        raised = error
    clean = all(bool(torch.isfinite(p).all()) for p in module.parameters())
    facts = {"exit_code": report.exit_code, "status": report.status, "step": trainer.global_step, "clean": clean}
    facts |= {"error": type(raised).__name__, "code": exit_code_of(raised), "text": str(raised)}
    (folder / f"rank{rank}.json").write_text(json.dumps(facts))


def run(folder: Path, module: ToyModule, *extra: Guard) -> list[dict]:
    with free_port() as port:
        hanging = joined([fresh(one_rank, rank, port, folder, module, *extra) for rank in (0, 1)])
    assert not hanging, f"ranks {hanging} hang"
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_nan_on_one_rank_ends_both_with_its_reason(tmp_path):
    for rank in run(tmp_path, OneRankFails()):
        assert (rank["error"], rank["code"]) == ("AcceptanceError", 10)
        assert (rank["status"], rank["exit_code"]) == ("rejected", 10)
        assert (rank["step"], rank["clean"]) == (10, True)
        assert "rank 1: loss term heading is not finite" in rank["text"]
    verdict = json.loads((tmp_path / "acceptance" / "verdict.json").read_text())
    assert (verdict["status"], verdict["exit_code"]) == ("rejected", 10)
    assert "rank 1" in verdict["reason"]


def test_healthy_run_on_two_ranks_is_accepted_by_both(tmp_path):
    for rank in run(tmp_path, ToyModule()):
        assert (rank["status"], rank["exit_code"], rank["error"]) == ("accepted", 0, "NoneType")
    verdict = json.loads((tmp_path / "acceptance" / "verdict.json").read_text())
    criteria = {c["name"]: c for c in verdict["criteria"]}
    assert len(criteria["memory"]["details"]["peak_gb_by_rank"]) == 2
    assert criteria["ego_motion"]["details"]["counts"]["moving"] > STEPS * 4 * 3 * 1.8  # the pairs of both ranks


def test_file_that_only_one_rank_misses_is_known_to_all(tmp_path):
    """Rank 0 verifies the checkpoint; all ranks end with its verdict."""
    for rank in run(tmp_path, NoFinalFile()):
        assert (rank["status"], rank["exit_code"]) == ("rejected", 13)


def test_the_worst_conclusion_of_all_ranks_counts(tmp_path):
    for rank in run(tmp_path, ToyModule(), OneRankObjects()):
        assert (rank["status"], rank["exit_code"]) == ("rejected", 99)
    assert "rank 1 says so" in json.loads((tmp_path / "acceptance" / "verdict.json").read_text())["reason"]
