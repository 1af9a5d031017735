"""The worth of velocities to the collision scores, and how much of it planners have learnt.

Area under the ROC curve of "this anchor loses its NC (or TTC) point" over all anchors of a split's windows: by how
often the anchor loses it in training, by its clearance from agents that stand still or keep their velocity, and by
the reward heads of each run, on the windows they were trained on and on those of validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from wotempo.checkpoints.rebuild import load_module
from wotempo.config.stored import config_with_images
from wotempo.data.module import NavsimDataModule
from wotempo.preparation.prepare import Prepared, prepare_data
from wotempo.targets.clearance import clearance

COLLISIONS = {"NC": 0, "TTC": 3}
SPLITS = ("train", "val")
LOST = 0.75  # below this the point counts as lost; a fault shared with a static object is 0.5


def truth(data: NavsimDataModule, split: str) -> Tensor:
    """(windows, 5, N) labels."""
    labels = data.datasets[split].labels
    assert labels is not None
    return torch.from_numpy(np.stack([labels.scores(scene.token) for scene in data.scenes[split]]))


def auroc(risk: Tensor, labels: Tensor) -> dict[str, float]:
    """risk (windows, 2 or 1, N), higher where the point is lost; labels (windows, 5, N)."""
    risk = risk.expand(-1, 2, -1)
    return {
        name: float(binary_auroc(risk[:, i].flatten().float(), (labels[:, k] < LOST).flatten().long()))
        for i, (name, k) in enumerate(COLLISIONS.items())
    }


def rules(prepared: Prepared, data: NavsimDataModule) -> list[tuple[str, list[dict[str, float]]]]:
    """Rows of what needs no network: (name, one dict per split)."""
    labels = {split: truth(data, split) for split in SPLITS}
    often = (labels["train"][:, list(COLLISIONS.values())] < LOST).float().mean(0)  # (2, N)
    rows = [
        ("how often the anchor loses it in training", [auroc(often.expand(len(y), -1, -1), y) for y in labels.values()])
    ]
    anchors = np.asarray(data.anchors, np.float64)
    for name, moving in (("clearance, agents stand still", False), ("clearance, agents keep their velocity", True)):
        gaps = {s: np.stack([clearance(scene.current, anchors, moving) for scene in data.scenes[s]]) for s in SPLITS}
        rows.append((name, [auroc(-torch.from_numpy(gaps[s])[:, None], labels[s]) for s in SPLITS]))
    return rows


@torch.no_grad()
def learnt(run: Path, data: NavsimDataModule) -> list[dict[str, float]]:
    """Of a run's reward heads, per split."""
    model = load_module(run / "checkpoints" / "last.ckpt").model.eval()
    values = []
    for loader in (data.train_dataloader(), data.val_dataloader()):
        pairs = [
            (-model(b, supervise=False)["sim_rewards"][:, list(COLLISIONS.values())], b["sim_reward"]) for b in loader
        ]
        values.append(auroc(*(torch.cat(parts) for parts in zip(*pairs, strict=True))))
    return values


def table(runs: list[Path]) -> Iterator[str]:
    """Lines: a head, the rules on the data of the first run, then each run. UserError where a folder is no run's."""
    yield f"{'AUROC of a lost point':60}" + "".join(f"{name} {s:6}" for s in SPLITS for name in COLLISIONS)
    for number, run in enumerate(runs):
        prepared, data = prepare_data(config_with_images(run))
        data.setup("fit")
        rows = rules(prepared, data) if number == 0 else []
        for name, values in [*rows, (str(run), learnt(run, data))]:
            cells = "".join(f"{value:<{len(key) + 7}.3f}" for by_name in values for key, value in by_name.items())
            yield f"{name[-58:]:60}{cells}"
