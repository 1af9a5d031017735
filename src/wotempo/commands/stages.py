"""``python -m wotempo.commands.stages``: parameters and multiply-accumulates of every fusion stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import torch
import yaml
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from wotempo.fusion import POINTS, TemporalFusion, build_fusion, level_of
from wotempo.geometry import BevGrid
from wotempo.model.config import LEVELS, WOTE, WOTE_TINY, WoTEConfig

SIZES = {"wote_tiny": WOTE_TINY, "wote": WOTE}


@dataclass(frozen=True)
class Cost:
    """``macs``: multiply-accumulates of one window at batch 1, as counted by torch: convolutions and matrix products.
    Warps, gates and softmaxes are elementwise and not counted."""

    stage: str
    parameters: int
    macs: int


def cost(name: str, channels: int, grid: BevGrid, fusion: dict[str, Any]) -> Cost:
    """Of the stage of ``fusion`` (as ``build_fusion`` takes it) on a window of its own length. Among fake tensors:
    nothing is computed, and nothing is drawn from the random numbers of a run."""
    with FakeTensorMode(), torch.random.fork_rng(devices=[]):
        return _counted(name, build_fusion(channels=channels, grid=grid, **fusion))


def _counted(name: str, stage: TemporalFusion) -> Cost:
    b, frames = 2, stage.num_frames  # one control takes history from the other sample
    bev = torch.zeros(b, frames, stage.channels, *stage.grid.shape)
    pose, dt, valid = torch.zeros(b, frames, 3), torch.zeros(b, frames), torch.ones(b, frames, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stage(bev, pose, dt, valid)
    return Cost(name, sum(p.numel() for p in stage.parameters()), counter.get_total_flops() // 2 // b)


def costs(config: WoTEConfig, level: str) -> Iterator[Cost]:
    """Of every yaml of configs/fusion that can sit at a level of a model."""
    channels, grid = config.level(level)
    for path in files("wotempo.configs").joinpath("fusion").iterdir():
        options = yaml.safe_load(path.read_text())
        if (level_of(options) == POINTS) == (level == POINTS):
            yield cost(path.name.removesuffix(".yaml"), channels, grid, {**options, "level": level})


def main() -> None:
    for size, config in SIZES.items():
        for level in (*LEVELS, POINTS):
            channels, grid = config.level(level)
            print(f"\n{size}, level {level}: {channels} channels on {grid.rows}×{grid.cols} cells, batch 1")
            print(f"{'fusion':22}{'parameters':>14}{'GMAC':>9}")
            for row in sorted(costs(config, level), key=lambda row: row.parameters):
                print(f"{row.stage:22}{row.parameters:14,}{row.macs / 1e9:9.3f}")


if __name__ == "__main__":
    main()
