"""A tiny LightningModule that keeps the protocol, and a run of it under all criteria."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F
from toy_drive import BATCH, CELLS, SIZE, loader

from callbacks import (
    AcceptanceReport,
    BudgetGuard,
    CheckpointGuard,
    CompleteGuard,
    EgoMotionGuard,
    FiniteGuard,
    GradientFlowGuard,
    Guard,
    HistoryGuard,
    LabelsGuard,
    LearningGuard,
    LearningRateGuard,
    LoaderGuard,
    LossGuard,
    MemoryGuard,
    PlanGuard,
    SensorsGuard,
    ShapeGuard,
    SplitsGuard,
    WarpGainGuard,
)

BEV = 8
STEPS = 48


def warp(maps: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    """maps (N, C, R, R) of frames at pose (N, 3) in the current frame -> (warped, mask (N, 1, R, R))."""
    half = SIZE / 2
    cos, sin, zero = torch.cos(pose[:, 2]), torch.sin(pose[:, 2]), torch.zeros_like(pose[:, 2])
    # A current point p lies in the history frame at R(-heading)(p - t); grid u is y (columns), v is x (rows).
    x, y = pose[:, 0] / half, pose[:, 1] / half
    theta = torch.stack(
        (torch.stack((cos, -sin, sin * x - cos * y), -1), torch.stack((sin, cos, -cos * x - sin * y), -1)), 1
    )
    grid = F.affine_grid(theta + zero[:, None, None], [len(maps), 1, *maps.shape[-2:]], align_corners=False)
    cover = F.grid_sample(torch.ones_like(maps[:, :1]), grid, align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False), cover > 0.999


class ToyFusion(nn.Module):
    """Residual: the current frame plus a zero-initialised projection of the warped mean of the valid history."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.zeros_(self.project.weight)

    def align(self, bev: Tensor, pose: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        warped, mask = warp(bev.flatten(0, 1), pose.flatten(0, 1))
        mask = mask & valid.flatten()[:, None, None, None]
        return (warped * mask).unflatten(0, bev.shape[:2]), mask.unflatten(0, bev.shape[:2])

    def forward(self, bev: Tensor, pose: Tensor, valid: Tensor) -> Tensor:
        warped, _ = self.align(bev, pose, valid)
        return bev[:, -1] + self.project(warped[:, :-1].sum(1))


class ToyModule(L.LightningModule):
    """Learns the future trajectory from LiDAR maps and speed."""

    def __init__(self, frames: int = 4, noise: float = 0.0) -> None:
        super().__init__()
        self.frames, self.noise = frames, noise
        self.encoder = nn.Sequential(nn.Conv2d(1, BEV, 8, 8), nn.ReLU(), nn.Conv2d(BEV, BEV, 1))
        self.fusion = ToyFusion(BEV)
        self.head = nn.Linear(BEV + 2, 24)
        self.loss_terms: dict[str, Tensor] = {}

    @property
    def is_temporal(self) -> bool:
        return self.frames > 1

    @property
    def num_frames(self) -> int:
        return self.frames

    @property
    def temporal_fusion(self) -> nn.Module:
        return self.fusion

    def encode(self, lidar: Tensor) -> Tensor:
        return self.encoder(lidar.float())

    def gather(self, batch: dict[str, Any]) -> Tensor:
        return self.encode(batch["lidar"])[batch["frame_index"]]  # (B, T, C, 8, 8)

    def forward(self, batch: dict[str, Any]) -> Tensor:
        bev = self.fusion(self.gather(batch), batch["pose"], batch["valid"])
        return self.head(torch.cat((bev.mean((2, 3)), batch["status"] / 10), -1)).unflatten(1, (8, 3))

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        error = F.smooth_l1_loss(self(batch) / 10, batch["trajectory"] / 10, reduction="none")
        terms = {"position": error[..., :2].mean(), "heading": error[..., 2].mean()}
        if self.noise:
            terms["position"] = terms["position"] * torch.exp(torch.randn(()) * self.noise)
        return terms

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        self.loss_terms = self.losses(batch)
        loss = torch.stack(list(self.loss_terms.values())).sum()
        self.log("train/loss", loss.detach(), batch_size=BATCH)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.log("val/loss", torch.stack(list(self.losses(batch).values())).sum(), batch_size=BATCH, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.01)

    def shape_contract(self, split: str) -> dict[str, str]:
        return {
            "batch.lidar": f"F 1 {CELLS} {CELLS} uint8",
            "batch.frame_index": f"B {self.frames} int64",
            "batch.pose": f"B {self.frames} 3 float32",
            "batch.trajectory": "B P 3 float",
            "fusion:in.0": f"B {self.frames} C h w float",
            "fusion:out": "B C h w float",
            "head:out": "B 24 float",
        }

    def warp_history(self, maps: Tensor, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return self.fusion.align(maps, batch["pose"], batch["valid"])


def ten_guards(**replace: Guard) -> list[Guard]:
    """The first ten criteria with the limits of a one-epoch run, sized for ``STEPS`` tiny batches."""
    guards = {
        "complete": CompleteGuard(),
        "checkpoint": CheckpointGuard(),
        "memory": MemoryGuard(every=16),
        "loss": LossGuard(),
        "finite": FiniteGuard(),
        "shapes": ShapeGuard(),
        "history": HistoryGuard(every=8),
        "ego_motion": EgoMotionGuard(every=8),
        "warp_gain": WarpGainGuard(every=4, frames=64),
        "gradient_flow": GradientFlowGuard(),
    }
    return list({**guards, **replace}.values())


def all_guards(**replace: Guard) -> list[Guard]:
    """The ten, and those of time, loader and learning rate."""
    first, last = {"loader": LoaderGuard()}, {"budget": BudgetGuard(1.0), "learning_rate": LearningRateGuard()}
    ten = {name: guard for name, guard in replace.items() if name not in (*first, *last)}
    more = {name: replace.get(name, guard) for name, guard in {**first, **last}.items()}
    return [more.pop("loader"), *ten_guards(**ten), *more.values()]


def informed_guards(**replace: Guard) -> dict[str, Guard]:
    """The criteria that ask the data, with limits for 48 steps and 16 validated scenes."""
    guards = {
        "plan": PlanGuard(rivals=("standing still",)),
        "splits": SplitsGuard(),
        "labels": LabelsGuard(every=8),
        "learning": LearningGuard(every=2, patience=18),
        "sensors": SensorsGuard(every=4),
    }
    return {**guards, **replace}


def toy_trainer(folder: Path, *callbacks: L.Callback, **options: Any) -> L.Trainer:
    defaults: dict[str, Any] = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
    }
    return L.Trainer(default_root_dir=folder, callbacks=list(callbacks), **{**defaults, **options})


def judge(
    folder: Path,
    module: L.LightningModule | None = None,
    train: Any = None,
    val: Any = None,
    guards: list[Guard] | None = None,
    extra: tuple[L.Callback, ...] = (),
    ckpt_path: str | None = None,
    seed: int = 0,
    **options: Any,
) -> tuple[AcceptanceReport, BaseException | None]:
    """Train and judge: (report, what ``fit`` raised)."""
    torch.manual_seed(seed)
    module = ToyModule() if module is None else module
    frames = getattr(module, "frames", 4)
    report = AcceptanceReport(folder / "acceptance", facts={"name": "toy", "data": "random walls"})
    saver = ModelCheckpoint(folder / "checkpoints", save_last=True)
    callbacks = [*extra, report, *(all_guards() if guards is None else guards), saver]
    trainer = toy_trainer(folder, *callbacks, **options)
    raised: BaseException | None = None
    try:
        trainer.fit(module, train or loader(STEPS, frames), val or loader(2, frames), ckpt_path=ckpt_path)
    except BaseException as error:  # Lightning lets SystemExit through for SIGTERM and Ctrl-C
        raised = error
    return report, raised


def statuses(report: AcceptanceReport) -> dict[str, str]:
    return {guard.name: guard.status for guard in report.guards}


def failing(report: AcceptanceReport) -> list[str]:
    return [guard.name for guard in report.guards if guard.status == "fail"]
