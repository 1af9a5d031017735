"""A framework that cries wolf is switched off: healthy runs of many kinds are all accepted."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader
from toy_drive import batches
from toy_run import ToyModule, failing, judge, statuses

RUNS = 50
BOUND = 0.06
"""No failure in 50 runs: the rate of false alarms is below 1 - 0.05 ** (1 / 50), 5.8 %, with 95 % confidence."""
OPTIMISERS = ("adam", "adamw", "sgd", "rmsprop")
SCHEDULES = ("constant", "warm-up and cosine", "one cycle", "steps")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


@dataclass(frozen=True)
class Setting:
    """One healthy run. ``steps`` of the optimiser, each over ``accumulate`` batches."""

    seed: int
    precision: str
    size: int
    accumulate: int
    schedule: str
    optimiser: str
    frames: int
    noise: float
    steps: int
    clip: float | None
    skips: int  # steps at the beginning that the fp16 scaler skips


def settings() -> list[Setting]:
    """Every precision with every schedule, three times over and a little more; all the rest drawn."""
    draw = random.Random(0)
    pairs = itertools.islice(itertools.cycle(itertools.product(PRECISIONS, SCHEDULES)), RUNS)
    found = []
    for seed, (precision, schedule) in enumerate(pairs):
        found.append(
            Setting(
                seed,
                precision,
                size=draw.choice((4, 8, 12)),
                accumulate=draw.choice((1, 1, 1, 1, 1, 1, 2, 4)),
                schedule=schedule,
                optimiser=draw.choice(OPTIMISERS),
                frames=draw.choice((1, 4, 4)),
                noise=draw.uniform(0.05, 0.25),
                steps=draw.randint(60, 84),
                clip=draw.choice((None, 1.0)),
                skips=draw.randint(1, 12) if precision == "16-mixed" else 0,
            )
        )
    return found


class Healthy(ToyModule):
    """Learns in the way of the setting."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting.frames, setting.noise)
        self.setting, self.taken = setting, 0

    def encode(self, lidar: torch.Tensor) -> torch.Tensor:
        return self.encoder(lidar.to(self.head.weight.dtype))

    def shape_contract(self, split: str) -> dict[str, str]:
        return {**super().shape_contract(split), "batch.pose": f"B {self.frames} 3 float"}

    def on_after_backward(self) -> None:
        # A CPU has no fp16 that overflows: what the scaler would find is put there.
        self.taken += 1
        if math.ceil(self.taken / self.setting.accumulate) <= self.setting.skips:
            self.head.weight.grad.fill_(math.inf)

    def configure_optimizers(self) -> Any:
        rate, s = 0.01, self.setting
        optimiser = {
            "adam": lambda p: torch.optim.Adam(p, rate),
            "adamw": lambda p: torch.optim.AdamW(p, rate, weight_decay=0.01),
            "sgd": lambda p: torch.optim.SGD(p, 80 * rate, momentum=0.9, nesterov=True),
            "rmsprop": lambda p: torch.optim.RMSprop(p, rate / 3),
        }[s.optimiser](self.parameters())
        factor = {
            "constant": lambda step: 1.0,
            "warm-up and cosine": lambda step: min(step / 6, 0.5 + 0.5 * math.cos(math.pi * min(step / s.steps, 1))),
            "steps": lambda step: 0.1 ** (step * 3 // (2 * s.steps)),
        }
        kind = torch.optim.lr_scheduler
        if s.schedule == "one cycle":
            scheduler: Any = kind.OneCycleLR(optimiser, 2 * optimiser.defaults["lr"], total_steps=s.steps + 1)
        else:
            scheduler = kind.LambdaLR(optimiser, factor[s.schedule])
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def half_precision() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**16))


def true_loss(module: Healthy) -> float:
    """On scenes of its own, without the noise: whether a run was healthy is not for the criteria to say."""
    noise, module.noise = module.noise, 0.0
    with torch.no_grad():
        found = [torch.stack(list(module.losses(batch).values())).sum() for batch in unseen(module.frames)]
    module.noise = noise
    return float(torch.stack(found).mean())


@cache
def unseen(frames: int) -> list[dict[str, Any]]:
    return batches(8, frames, seed=1000)


def check(setting: Setting, folder: Path) -> str:
    """What is wrong with the verdict on this healthy run; nothing: an empty string."""
    torch.manual_seed(setting.seed)  # of the weights
    module, count = Healthy(setting), setting.steps * setting.accumulate
    train = DataLoader(batches(count, setting.frames, setting.seed, setting.size), batch_size=None)
    precise = {"plugins": half_precision()} if setting.skips else {"precision": setting.precision}
    options = {"accumulate_grad_batches": setting.accumulate, "gradient_clip_val": setting.clip, **precise}
    before = true_loss(module)
    report, _ = judge(folder, module, train, seed=setting.seed, **options)
    assert true_loss(module.float()) < 0.8 * before, f"not a healthy run: {setting}"
    assert len(statuses(report)) == 13
    if report.exit_code != 0 or failing(report):
        return f"{setting}: {report.reason} {failing(report)}"
    finite = next(guard for guard in report.guards if guard.name == "finite")
    assert finite.details["scaler_skips"] == setting.skips
    return ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # the scaler skipped the first step
def test_healthy_runs_are_accepted(tmp_path):
    wrong = [found for s in settings() if (found := check(s, tmp_path / str(s.seed)))]
    assert not wrong
    assert 1 - 0.05 ** (1 / RUNS) < BOUND


def test_the_settings_vary():
    found = settings()
    assert len(found) == RUNS
    assert {s.accumulate for s in found} == {1, 2, 4}
    assert {s.frames for s in found} == {1, 4}
    assert {(s.precision, s.schedule) for s in found} == set(itertools.product(PRECISIONS, SCHEDULES))
    assert {s.optimiser for s in found} == set(OPTIMISERS)
