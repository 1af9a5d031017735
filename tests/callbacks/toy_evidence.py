"""The toy module and its data with everything that criteria may ask of them: plans, labels, splits, objects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from toy_drive import BATCH, drive, make_batch
from toy_run import STEPS, ToyModule

HEIGHT, WIDTH = 24, 96
PARTS = {"left camera": (0.0, 1 / 3), "front camera": (1 / 3, 2 / 3), "right camera": (2 / 3, 1.0)}
OBJECTS, SIZE = 6, 6  # two in each camera, of so many pixels
LAST, FIRST_VAL = 86, 62
"""Frames of the drive that have a future; those of the validation split, which is a log of its own."""
VALIDATED = 16


def token(frame: int) -> str:
    return f"frame{frame:03d}"


def hulls(frame: int) -> Tensor:
    """(OBJECTS, 4) pixels of the coloured squares in the picture of a frame."""
    generator = torch.Generator().manual_seed(frame)
    column = torch.rand(OBJECTS, generator=generator) * (WIDTH / 3 - 3 * SIZE) + SIZE
    column += torch.arange(OBJECTS) % 3 * WIDTH / 3
    row = torch.rand(OBJECTS, generator=generator) * (HEIGHT - 3 * SIZE) + SIZE
    left_top = torch.stack((column.round(), row.round()), 1)
    return torch.cat((left_top, left_top + SIZE), 1)


@cache
def picture(frame: int) -> Tensor:
    """(3, HEIGHT, WIDTH) uint8, not to be changed."""
    generator = torch.Generator().manual_seed(1000 + frame)
    image = torch.randint(90, 110, (3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)
    for left, top, right, bottom in hulls(frame).int().tolist():
        image[:, top:bottom, left:right] = torch.tensor([230, 30, 30], dtype=torch.uint8)[:, None, None]
    return image


def occupied_cells(frame: int) -> Tensor:
    """(8, 2, 2) rows and columns: pairs of occupied cells, as objects of two places."""
    cells = drive()["lidar"][frame, 0].nonzero().float()
    return cells[torch.linspace(0, len(cells) - 1, 16).round().long()].reshape(8, 2, 2)


def unique_frames(current: list[int], history: int = 4) -> list[int]:
    """Of windows with these current frames, as ``make_batch`` orders them."""
    return torch.unique((torch.tensor(current)[:, None] + torch.arange(1 - history, 1)).clamp(min=0)).tolist()


def full_batch(frames: list[int], history: int = 4) -> dict[str, Any]:
    """``make_batch`` with pictures, a status of eight numbers, and label rows."""
    batch = make_batch(frames, history)
    speed = batch["speed"][:, -1]
    command = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(len(frames), 4)
    motion = torch.stack((speed, 0 * speed, 0 * speed, 0 * speed), 1)
    rows = torch.stack([row_of(frame) for frame in frames])
    pictures = torch.stack([picture(frame) for frame in unique_frames(frames, history)])
    return {**batch, "camera": pictures, "status": torch.cat((command, motion), 1), "sim_reward": rows}


@cache
def row_of(frame: int) -> Tensor:
    """(5, 4) labels of four plans, not to be changed."""
    return torch.rand(5, 4, generator=torch.Generator().manual_seed(frame))


class InformedModule(ToyModule):
    """Says what it plans, and how it learns."""

    def __init__(self, frames: int = 4) -> None:
        super().__init__(frames)
        self.save_hyperparameters()
        self.head = torch.nn.Linear(self.head.in_features + 6, 24)
        self.validated: dict[str, Tensor] = {}
        self.frozen: dict[str, str] = {}
        speeds = torch.tensor([2.0, 10.0, 12.0, 14.0])
        ahead = speeds[:, None] * 0.5 * torch.arange(1, 9)
        self.fixed_plans = torch.stack((ahead, 0 * ahead, 0 * ahead), -1)

    @classmethod
    def rebuild(cls, checkpoint: Mapping[str, Any]) -> InformedModule:
        module = cls(**checkpoint["hyper_parameters"])
        module.load_state_dict(checkpoint["state_dict"])
        return module

    def forward(self, batch: dict[str, Any]) -> Tensor:
        bev = self.fusion(self.gather(batch), batch["pose"], batch["valid"])
        return self.head(torch.cat((bev.mean((2, 3)), batch["status"] / 10), -1)).unflatten(1, (8, 3)) * 10

    def terms_of(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        return self.losses(batch)

    def drive(self, batch: dict[str, Any]) -> Tensor:
        return self(batch)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.validated = {"plan": self.drive(batch), "expert": batch["trajectory"]}
        ade = (self.validated["plan"] - batch["trajectory"])[..., :2].norm(dim=-1).mean()
        self.log("val/ade", ade, batch_size=BATCH, sync_dist=True)


class ToyEvidence:
    """What a data module may offer (callbacks.base.protocol.Evidence)."""

    def __init__(self, train: Sequence[int], val: Sequence[int]) -> None:
        self.frames = {"train": train, "val": val}

    def simple_drivers(self, tokens: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
        speed = torch.stack([drive()["speed"][int(name[5:])] for name in tokens])
        ahead = speed[:, None] * 0.5 * torch.arange(1, 9)
        return {"constant velocity": torch.stack((ahead, 0 * ahead, 0 * ahead), -1)}

    def score(self, plans: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
        """One over one plus the displacement."""
        found = {}
        for name, of in plans.items():
            plan = torch.tensor(list(of.values()))
            expert = make_batch([int(token_[5:]) for token_ in of])["trajectory"]
            found[name] = (1 / (1 + (plan - expert)[..., :2].norm(dim=-1).mean(-1))).tolist()
        return found

    def splits(self) -> dict[str, dict[str, list[str]]]:
        found = {}
        for name, frames in self.frames.items():
            found[name] = {"tokens": [token(frame) for frame in frames], "logs": [f"log of {name}"]}
        return found

    def targets(self, count: int) -> dict[str, Any]:
        return {"scenes": count, "expert_apart": [], "on_road": 1.0, "flat": 0.0, "worthless": 0.0, "rescored": count,
                "rows_apart": [], "scorer": ["1", "1"]}  # fmt: skip

    def label_row(self, name: str) -> Tensor:
        return row_of(int(name[5:])).clone()

    def twins(self) -> dict[str, str]:
        return {}

    def camera_parts(self) -> dict[str, tuple[float, float]]:
        return PARTS

    def beliefs(self, name: str) -> dict[str, dict[str, Tensor]]:
        frame = int(name[5:])
        cells, seen = occupied_cells(frame), hulls(frame)
        mirrored, swapped = seen.clone(), seen.clone()
        mirrored[:, [0, 2]] = WIDTH - seen[:, [2, 0]]
        part = (seen[:, 0] * 3 / WIDTH).int()
        swapped[:, [0, 2]] += torch.tensor([2 * WIDTH / 3, torch.nan, -2 * WIDTH / 3])[part][:, None]
        flipped = cells.clone()
        flipped[..., 1] = drive()["lidar"].shape[-1] - 1 - cells[..., 1]
        return {
            "lidar": {
                "as annotated": cells,
                "half a second before": occupied_cells(max(frame - 1, 0)),
                "half a second later": occupied_cells(frame + 1),
                "mirrored": flipped,
            },
            "camera": {
                "as annotated": seen,
                "half a second before": hulls(max(frame - 1, 0)),
                "half a second later": hulls(frame + 1),
                "mirrored": mirrored,
                "left and right swapped": swapped,
            },
        }

    def fixed_batches(self, count: int) -> list[dict[str, Any]]:
        return [full_batch(list(range(4 + k, 40 + k, 9))) for k in range(count)]


class ToyData(L.LightningDataModule):
    """Batches of the drive: the first frames train, the last ones validate. ``damage`` and ``validation`` change each
    batch in place, given its number; ``count`` training batches an epoch."""

    def __init__(
        self,
        damage: Callable[[dict[str, Any], int], None] | None = None,
        validation: Callable[[dict[str, Any], int], None] | None = None,
        count: int = STEPS,
        frames: int = 4,
    ) -> None:
        super().__init__()
        train, val = range(FIRST_VAL), range(FIRST_VAL + 4, FIRST_VAL + 4 + VALIDATED)
        self.evidence: Any = ToyEvidence(train, val)
        generator = torch.Generator().manual_seed(0)
        draws = [torch.randperm(FIRST_VAL, generator=generator)[:BATCH].sort().values.tolist() for _ in range(count)]
        validated = [list(val[i : i + BATCH]) for i in range(0, VALIDATED, BATCH)]
        self.batches = {
            "train": _damaged([full_batch(draw, frames) for draw in draws], damage),
            "val": _damaged([full_batch(draw, frames) for draw in validated], validation),
        }

    def train_dataloader(self) -> Any:
        return DataLoader(self.batches["train"], batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return DataLoader(self.batches["val"], batch_size=None)  # type: ignore[arg-type]


def _damaged(ready: list[dict[str, Any]], how: Callable[[dict[str, Any], int], None] | None) -> list[dict[str, Any]]:
    for number, batch in enumerate(ready):
        if how is not None:
            how(batch, number)
    return copy.deepcopy(ready)
