"""Labels, futures and splits of a real run, damaged: each function is given the run's own workspace and a
monkeypatch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

# ---- labels and futures


def _table(workspace: Path) -> Path:
    (folder,) = (path for path in (workspace / "labels").iterdir() if not path.name.startswith("."))
    return folder


def shuffled_rows(workspace, monkeypatch):
    file = _table(workspace) / "index.json"
    index = json.loads(file.read_text())
    index["tokens"] = [*index["tokens"][3:], *index["tokens"][:3]]
    file.write_text(json.dumps(index))


def constant_rows(workspace, monkeypatch):
    for name in ("flags", "progress"):
        file = _table(workspace) / f"{name}.npy"
        values = np.load(file)
        np.save(file, np.broadcast_to(values[:1, :1], values.shape).copy())


def worthless_rows(workspace, monkeypatch):
    for name in ("flags", "progress"):
        file = _table(workspace) / f"{name}.npy"
        values = np.load(file)
        if name == "flags":
            values &= 0b11011  # no anchor stays on the road
        np.save(file, values)


def shuffled_futures(workspace, monkeypatch):
    from wotempo.data.target_cache import TargetCache

    original = TargetCache.reader
    monkeypatch.setattr(TargetCache, "reader", lambda self, scenes: original(self, [*scenes[5:], *scenes[:5]]))


# ---- splits


def validate_on_training(workspace, monkeypatch):
    from wotempo.datasets.town import Town

    original = Town.logs
    monkeypatch.setattr(Town, "logs", lambda self, paths, split: original(self, paths, split.replace("val", "train")))


def a_scene_twice(workspace, monkeypatch):
    import wotempo.preparation.prepare as prepare

    original = prepare.find_split

    def find(dataset, paths, split, progress):
        found = original(dataset, paths, split, progress)
        return found._replace(scenes=[*found.scenes, found.scenes[0]]) if split == "train" else found

    monkeypatch.setattr(prepare, "find_split", find)


def rows_of_other_anchors(workspace, monkeypatch):
    for name in ("flags", "progress"):
        file = _table(workspace) / f"{name}.npy"
        np.save(file, np.load(file)[:, ::-1].copy())


def half_the_rows_shuffled(workspace, monkeypatch):
    file = _table(workspace) / "index.json"
    index = json.loads(file.read_text())
    tokens = index["tokens"]
    tokens[::2] = [*tokens[2::2], tokens[0]]
    file.write_text(json.dumps(index))


def nobody_makes_progress(workspace, monkeypatch):
    file = _table(workspace) / "progress.npy"
    np.save(file, np.zeros_like(np.load(file)))


def in_every_batch(monkeypatch, change):
    """``change(batch)``, as it leaves the collator."""
    from wotempo.data.collate import WindowCollator

    original = WindowCollator.__call__

    def call(self, items):
        batch = original(self, items)
        change(batch)
        return batch

    monkeypatch.setattr(WindowCollator, "__call__", call)


def mirrored_futures(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["trajectory"][..., 1:].neg_())


def futures_half_a_second_late(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["trajectory"].copy_(batch["trajectory"].roll(-1, 1)))


def rows_of_the_neighbour_in_the_batch(workspace, monkeypatch):
    in_every_batch(monkeypatch, lambda batch: batch["sim_reward"].copy_(batch["sim_reward"].roll(1, 0)))


def validate_on_test(workspace, monkeypatch):
    from wotempo.datasets.town import Town

    original = Town.logs
    monkeypatch.setattr(Town, "logs", lambda self, paths, split: original(self, paths, split.replace("val", "test")))
    (root,) = workspace.glob("town-*")  # the town's test logs lie in a folder of their own
    for kind in ("navsim_logs", "sensor_blobs"):
        shutil.copytree(root / kind / "test", root / kind / "trainval", dirs_exist_ok=True)


def a_validation_log_in_training(workspace, monkeypatch):
    from wotempo.datasets.town import Town

    original = Town.logs

    def logs(self, paths, split):
        found = original(self, paths, split)
        return found | original(self, paths, "val") if split == "train" else found

    monkeypatch.setattr(Town, "logs", logs)


def one_scene_validated_again_and_again(workspace, monkeypatch):
    from wotempo.data.module import NavsimDataModule

    original = NavsimDataModule.val_dataloader

    def loader(self):
        batches = list(original(self))
        return DataLoader([batches[0]] * len(batches), batch_size=None)

    monkeypatch.setattr(NavsimDataModule, "val_dataloader", loader)


DATA = [
    ("labels", shuffled_rows, ()),
    ("labels", half_the_rows_shuffled, ()),
    ("labels", rows_of_other_anchors, ()),
    ("labels", rows_of_the_neighbour_in_the_batch, ()),
    ("labels", constant_rows, ()),
    ("labels", worthless_rows, ()),
    ("labels", nobody_makes_progress, ()),
    ("labels", shuffled_futures, ()),
    ("labels", mirrored_futures, ()),
    ("labels", futures_half_a_second_late, ()),
    ("splits", validate_on_training, ()),
    ("splits", validate_on_test, ()),
    ("splits", a_validation_log_in_training, ()),
    ("splits", a_scene_twice, ()),
    ("splits", one_scene_validated_again_and_again, ()),
]
"""(criterion that is meant, fault, overrides)."""
