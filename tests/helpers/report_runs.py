"""Folders as runs leave them, made up: fast, and each defect can be set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from wotempo.report.ablation import LOWER_IS_BETTER, SCORES

LOGS = 12


def scored(shift: float = 0.0, kinds: bool = True, seed: int = 1) -> pd.DataFrame:
    """Scenes whose difficulty differs far more than two runs do; turns gain twice as much."""
    hard = np.random.default_rng(0).uniform(0, 0.7, 10 * LOGS)
    turn = np.arange(len(hard)) % 4 == 0
    values = hard + shift * (1 + turn) + np.random.default_rng(seed).normal(0, 0.02, len(hard)) * (shift != 0)
    rows = {"token": [f"{i:04}" for i in range(len(hard))], "log": np.repeat(range(LOGS), 10), "valid": True}
    frame = pd.DataFrame(rows | {"reason": ""} | {metric: values for metric in (*SCORES, *LOWER_IS_BETTER)})
    for k in range(8):
        frame[f"future_both_{k}"], frame[f"future_any_{k}"] = 4, 8
    return frame.assign(situation_turn=turn, situation_stop=~turn) if kinds else frame


def run_folder(folder: Path, name: str, seed: int = 0, status: str = "accepted", scores=None, lr: float = 0.1) -> Path:
    (folder / "metrics").mkdir(parents=True)
    criteria = [
        {"name": "memory", "status": "pass", "measured": 2.5, "message": "peak", "hint": "", "unit": "GB",
         "details": {"peak_gb_by_batch": [[1, 2.0], [50, 2.5]]}},
        {"name": "loss", "status": "pass" if status != "rejected" else "fail", "measured": None,
         "message": "the loss <rises>", "hint": "Check the learning rate"},
    ]  # fmt: skip
    facts = {"name": name, "seed": seed, "data": "town 'tiny'", "note": "town data: these are not NAVSIM numbers",
             "command": "python -m wotempo.commands.train experiment=x run_dir=elsewhere",
             "git": {"commit": "0123abcd", "dirty": True}}  # fmt: skip
    verdict = {"status": status, "reason": "as it ended", "written": "2026-01-01", "steps": 66, "seconds": 60.0,
               "criteria": criteria if status != "incomplete" else [], "facts": facts}  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(verdict))
    (folder / "metrics.json").write_text(json.dumps({"val/loss": 10.0, "seconds_per_step": 0.5}))
    (folder / "config.yaml").write_text(f"name: {name}\nseed: {seed}\nrun_dir: {folder}\nlr: {lr}\n")
    steps = np.arange(900)
    curves = {"step": steps, "train/loss": 10 / (1 + steps), "train/sim_reward": 1.0, "lr-AdamW/main": lr}
    curves |= {f"history/grad_share_{k}": 0.25 for k in range(4)} | {"step_seconds": 0.4}
    pd.DataFrame(curves).to_csv(folder / "metrics" / "metrics.csv", index=False)
    if scores is not None:
        scores.to_parquet(folder / "test.parquet", index=False)
    return folder
