"""Runs a fault in one process or in two (gloo), and writes down what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from fault import Fault
from free_port import free_port
from fresh_process import fresh, joined
from lightning.pytorch.callbacks import ModelCheckpoint
from toy_run import all_guards, informed_guards, toy_trainer
from verdicts import blamed

from callbacks import AcceptanceReport, FailureRecorder, MemoryGuard, exit_code_of

KEPT = "kept.ckpt"
LOADERS = ("train_dataloaders", "val_dataloaders")


class Keeper(L.Callback):
    """What must stay good: a checkpoint every eight steps, and the weights after the latest step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = ""
        self.weights: dict[str, torch.Tensor] = {}
        self._saved = -1

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._keep(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self._keep(trainer, pl_module)

    def _keep(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
        if trainer.global_step % 8 == 0 and trainer.global_step != self._saved:
            self._saved = trainer.global_step
            trainer.save_checkpoint(self.path)
            self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()

    def file_is_good(self) -> bool:
        if hashlib.sha256(self.path.read_bytes()).hexdigest() != self.digest:
            return False
        return finite(torch.load(self.path, weights_only=True)["state_dict"])

    def memory_is_good(self, pl_module: L.LightningModule) -> bool:
        now = pl_module.state_dict()
        return finite(now) and all(torch.equal(value, now[name]) for name, value in self.weights.items())


def finite(state: dict[str, Any]) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in state.values())


@dataclass(frozen=True)
class Observed:
    """What one rank saw. ``criterion``: the one that its verdict blames. ``failing``: all that counted as failed."""

    status: str
    criterion: str
    failing: list[str]
    step: int
    exit_code: int
    process_code: int
    reason: str
    evidence: str
    memory: bool
    file: bool


def attend(fault: Fault, folder: Path, rank: int = 0, world: int = 1) -> Observed:
    """The run itself. The guilty rank is the last one, or all are."""
    torch.manual_seed(0)
    guilty = rank == world - 1 or fault.ranks == "all"
    module = fault.built(guilty)
    given = (
        {"datamodule": fault.data(guilty)} if fault.informed else dict(zip(LOADERS, fault.loaders(guilty), strict=True))
    )
    keeper, recorder = Keeper(folder / KEPT), FailureRecorder(folder / "failure")
    report = AcceptanceReport(folder / "acceptance")
    saver = ModelCheckpoint(folder / "checkpoints", **fault.saver)
    constant = MemoryGuard(every=16, read_bytes=lambda device: 1e9)  # reading /proc is slow
    informed = informed_guards() if fault.informed else {}
    guards = all_guards(**{"memory": constant, **informed, **fault.guards(guilty)})
    callbacks = [keeper, *fault.before_the_guards(guilty), recorder, *guards, report, saver]
    ranks = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False} if world > 1 else {}
    trainer = toy_trainer(folder, *callbacks, **ranks, **fault.options())
    raised = None
    try:
        trainer.fit(module, **given)
    except BaseException as error:  # Lightning lets SystemExit through for SIGTERM and Ctrl-C
        raised = error
    reason = report.reason
    counting = [guard for guard in report.guards if guard.policy == "fail" and guard.status == "fail"]
    return Observed(
        status=report.status,
        criterion=blamed(report.reason, [guard.name for guard in report.guards]),
        failing=[guard.name for guard in counting],
        step=trainer.global_step,
        exit_code=report.exit_code,
        process_code=exit_code_of(raised),
        reason=reason,
        evidence=evidence(folder / "failure" / (f"rank{rank}" if world > 1 else "")),
        memory=keeper.memory_is_good(module),
        file=keeper.file_is_good(),
    )


def evidence(folder: Path) -> str:
    """``step``, ``weights`` or ``none``, as in fault.py."""
    if not folder.exists():
        return "none"
    facts = json.loads((folder / "facts.json").read_text())
    step = torch.load(folder / "step.pt", weights_only=True)
    torch.load(folder / "weights.pt", weights_only=True)
    assert (folder / "diagnosis.md").read_text().startswith("# ")
    return "step" if facts["weights_are"] == "before" and step["micro_batches"] else "weights"


def by_name(name: str) -> Fault:
    from fault_zoo import BY_NAME  # which imports the endings, and these this module

    return BY_NAME[name]


def process(name: str, folder: Path, rank: int, world: int, port: int) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if world > 1:
        warnings.simplefilter("ignore")  # Lightning's advice on metrics and ports
    try:
        seen = vars(attend(by_name(name), folder, rank, world))
    except BaseException:
        seen = {"error": traceback.format_exc()}
    partial = folder / f".rank{rank}"
    partial.write_text(json.dumps(seen))
    os.replace(partial, folder / f"rank{rank}.json")


def observe(name: str, folder: Path, world: int) -> list[Observed]:
    """By rank, without those that were killed. Raises where one hangs or the run itself is broken."""
    with free_port() as port:
        hanging = joined([fresh(process, name, folder, rank, world, port) for rank in range(world)])
    assert not hanging, f"ranks {hanging} hang"
    found = []
    for file in sorted(folder.glob("rank*.json")):  # one that was killed has none
        seen = json.loads(file.read_text())
        assert "error" not in seen, seen["error"]
        found.append(Observed(**seen))
    return found
