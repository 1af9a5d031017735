"""A run as the training command tracks it, without the training; and what wandb's file on disk says of a run.

``python offline_run.py <folder>`` begins one, logs for a while, and kills itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patience import wait_for

FACTS = {"name": "convgru_1epoch", "signature": "0123abcd", "seed": 1, "data": "town 'micro'", "parameters": 7,
         "note": "town data: these are not NAVSIM numbers", "history": "without it the map changes", "git": {},
         "fusion": {"name": "convgru"}}  # fmt: skip
ENDS = {"accepted": 0, "rejected": 12, "incomplete": 143, "crashed": 1}


def criterion(name: str, status: str, measured: Any, limit: Any, policy: str = "fail") -> dict[str, Any]:
    return {"name": name, "status": status, "policy": policy, "measured": measured, "limit": limit, "sense": "≥",
            "unit": "units", "message": f"{name} is so", "hint": f"Mend {name}.", "details": {}}  # fmt: skip


def verdict(status: str = "accepted", *criteria: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "exit_code": ENDS[status], "reason": "as it ended", "next": "Go on.", "seconds": 60.0,
            "written": "2026-01-01", "steps": 3, "epochs": 1, "criteria": list(criteria), "facts": FACTS,
            "cost": {"training_seconds": 50.0, "share": 0.01}}  # fmt: skip


def begin(folder: Path, *overrides: str) -> tuple[Any, list[Any]]:
    """-> the run's configuration, and its loggers."""
    from hydra import compose

    from wotempo.config.checks import check_config
    from wotempo.config.composition import loaded
    from wotempo.tracking.loggers import build_loggers

    given = [f"run_dir={folder}", "experiment=convgru_1epoch", "seed=1", "tracking.csv=false", *overrides]
    with loaded():
        config = check_config(compose("train", overrides=given))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("name: convgru_1epoch\n")
    (folder / "verdict.json").write_text(json.dumps({**verdict("incomplete"), "reason": "was killed"}))
    return config, build_loggers(config, folder, FACTS)


def end(folder: Path, config: Any, loggers: list[Any], told: dict[str, Any]) -> None:
    """As the training command ends it; the checkpoints are a few bytes."""
    from wotempo.tracking.loggers import close_wandb, tell_verdict

    (folder / "verdict.json").write_text(json.dumps(told))
    (folder / "verdict.md").write_text("# verdict\n")
    (folder / "checkpoints").mkdir(exist_ok=True)
    for name in ("best", "last"):
        (folder / "checkpoints" / f"{name}.ckpt").write_text(f"the weights called {name}")
    tell_verdict(loggers, told, {"seconds_per_step": 0.5})
    close_wandb(loggers, told, folder, config.tracking.artifacts)


@dataclass
class Told:
    """What the file of the only offline run below a folder says."""

    run: Any
    config: dict[str, Any]
    logged: set[str]
    summary: dict[str, Any]
    first_verdict: Any
    alerts: list[Any]
    artifacts: list[Any]
    exit_code: int | None


def read_back(folder: Path) -> Told:
    import wandb

    from wotempo.tracking.wandb_file import records

    wandb.teardown()  # its service may still be writing when `finish` returns
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    by_kind: dict[str, list[Any]] = {}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        by_kind.setdefault(kind, []).append(getattr(record, kind))
    (run,) = by_kind["run"]
    updates = [item for part in by_kind.get("summary", ()) for item in part.update]
    summary = [(".".join(item.nested_key) or item.key, json.loads(item.value_json)) for item in updates]
    logged = {".".join(item.nested_key) or item.key for row in by_kind.get("history", ()) for item in row.item}
    return Told(
        run=run,
        config={item.key: json.loads(item.value_json) for item in run.config.update},
        logged=logged,
        summary=dict(summary),
        first_verdict=next((value for name, value in summary if name == "verdict"), None),
        alerts=by_kind.get("alert", []),
        artifacts=by_kind.get("artifact", []),
        exit_code=by_kind["exit"][-1].exit_code if "exit" in by_kind else None,
    )


def main(folder: Path) -> None:
    from wotempo.tracking.wandb_file import BLOCK

    _, (logger,) = begin(folder)
    for step in range(3000):
        logger.log_metrics({"train/loss": 1.0 / (1 + step)}, step)
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")  # wandb writes it in another process
    wait_for(lambda: file.stat().st_size >= BLOCK, "records on the disk")
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
