from __future__ import annotations

import pickle
import shutil
from dataclasses import replace

import lightning as L
import numpy as np
import pytest
import torch
from score_tables import write_score_table
from tiny_dataset import NEEDS, SPEC, SPLIT
from torch import nn

from wotempo.data.module import NavsimDataModule
from wotempo.errors import UserError
from wotempo.navsim.anchors import fingerprint
from wotempo.navsim.dataset import NoImitation, write_no_imitation
from wotempo.navsim.schema import DataPaths
from wotempo.needs import WindowNeeds

# Lightning 2.6 with torch 2.14, and what it thinks of short loaders with few workers.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


class Recorder(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.trained: list[list[dict]] = []
        self.validated: list[list[dict]] = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def on_train_epoch_start(self) -> None:
        self.trained.append([])

    def on_validation_epoch_start(self) -> None:
        self.validated.append([])

    def training_step(self, batch: dict, batch_idx: int) -> torch.Tensor:
        self.trained[-1].append(batch)
        return self.layer(torch.zeros(1, 1)).sum()

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.validated[-1].append(batch)

    def predict_step(self, batch: dict, batch_idx: int) -> list[str]:
        return batch["tokens"]


def trainer(**options) -> L.Trainer:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return L.Trainer(accelerator="cpu", num_sanity_val_steps=0, **quiet, **options)


def tokens(batches) -> list[str]:
    return [token for batch in batches for token in batch["tokens"]]


def anchor_of(batches) -> dict[str, int]:
    return {t: int(a) for batch in batches for t, a in zip(batch["tokens"], batch["sampled_anchor"][:, 0], strict=True)}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_sees_every_window_each_epoch_in_a_new_order(make_module, scenes, num_workers):
    data, recorder = make_module(num_workers=num_workers), Recorder()
    trainer(max_epochs=3).fit(recorder, datamodule=data)
    train, val = [s.token for s in scenes[:9]], [s.token for s in scenes[9:]]
    orders = [tokens(epoch) for epoch in recorder.trained]
    assert [sorted(order) for order in orders] == [sorted(train)] * 3
    assert orders[0] != orders[1]
    drawn = [anchor_of(epoch) for epoch in recorder.trained]
    assert drawn[0] != drawn[1] != drawn[2]  # persistent workers hear of the epoch
    assert [tokens(epoch) for epoch in recorder.validated] == [val] * 3
    assert anchor_of(recorder.validated[0]) == anchor_of(recorder.validated[2])
    # Another run, with another number of workers, sees the same.
    again = Recorder()
    trainer(max_epochs=2).fit(again, datamodule=make_module(num_workers=0))
    assert [tokens(epoch) for epoch in again.trained] == orders[:2]
    assert [anchor_of(epoch) for epoch in again.trained] == drawn[:2]


def test_prediction_needs_no_targets_and_keeps_the_order(make_module, scenes):
    data = make_module(scenes={"predict": scenes}, labels=None)
    assert data.build_caches()["targets"].built == 0
    predicted = trainer().predict(Recorder(), datamodule=data)
    assert [token for batch in predicted for token in batch] == [scene.token for scene in scenes]
    assert "trajectory" not in next(iter(data.predict_dataloader()))


def test_caches_are_built_once_and_setup_alone_says_what_lacks(make_module, tmp_path, dataset, scenes, anchors):
    heard = []
    data = NavsimDataModule(
        dataset,
        tmp_path,
        {"train": scenes},
        anchors,
        batch_size=16,
        feature_spec=SPEC,
        needs=NEEDS,
        progress=lambda *news: heard.append(news),
    )
    with pytest.raises(UserError, match=r"frames cache .* lacks"):
        data.setup("fit")
    first = data.build_caches()
    assert (first["frames"].built, first["targets"].built) == (13, 13)
    assert {news[0] for news in heard} == {"frames", "targets"}
    again = data.build_caches()
    assert (again["frames"].built, again["targets"].built) == (0, 0)
    data.setup("fit")
    assert len(data.train_dataloader()) == 1


def test_absent_source_files_are_an_error(make_module, dataset):
    with pytest.raises(UserError, match="lack sensor files"):
        make_module(paths=DataPaths(dataset.root / "nowhere", dataset.maps)).build_caches()


def test_stacks_are_built_and_served_where_the_stage_asks(make_module):
    data = make_module(needs=replace(NEEDS, stacks=True, frames=3, stride=2))
    assert data.build_caches()["stacks"].built in (0, 13)  # 0: by an earlier test
    assert data.build_caches()["stacks"].built == 0
    for stage, loader in (("fit", data.train_dataloader), ("predict", data.predict_dataloader)):
        data.setup(stage)
        batch = next(iter(loader()))
        assert batch["lidar_stack"].shape == (*batch["valid"].shape, 1, *SPEC.lidar_grid.shape)
        assert torch.equal(batch["lidar_stack"].flatten(2).any(-1), batch["valid"])
    assert "stacks" not in make_module().build_caches()


def test_scenes_that_are_not_to_be_imitated_are_marked(make_module, dataset, scenes):
    whole = make_module(batch_size=16)
    whole.build_caches()
    whole.setup("fit")
    assert next(iter(whole.train_dataloader()))["imitation"].all()
    listed = {scenes[2].token, scenes[5].token, scenes[10].token}
    write_no_imitation(dataset.root, NoImitation("town", frozenset(listed)))
    try:
        data = make_module(batch_size=16)
        assert data.build_caches()["targets"].built == 0  # nothing of it is cached
        data.setup("fit")
        for loader in (data.train_dataloader(), data.val_dataloader()):
            for batch in loader:
                expected = [token not in listed for token in batch["tokens"]]
                assert batch["imitation"].tolist() == expected
                assert not all(expected)
        data = make_module(scenes={"predict": scenes}, labels=None)
        data.setup("predict")
        assert "imitation" not in next(iter(data.predict_dataloader()))
    finally:
        (dataset.root / "no_imitation.json").unlink()


def test_nothing_is_served_that_the_planner_does_not_need(make_module):
    data = make_module(needs=WindowNeeds(frames=4))
    data.build_caches()
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert {"trajectory", "bev_map", "agent_states", "agent_labels"} <= set(batch)
    assert not {"sim_reward", "sampled_anchor", "future_map", "lidar_stack", "agent_motion"} & set(batch)
    data = make_module(needs=WindowNeeds(frames=4, anchors=True, motion=True))
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert {"sampled_anchor", "future_map", "agent_motion"} <= set(batch)
    assert "sim_reward" not in batch
    with pytest.raises(ValueError, match="needs anchors"):
        make_module(anchors=None)


def test_a_history_that_sensor_files_never_show_is_refused(make_module, dataset, scenes, tmp_path):
    """The logs hold four frames, the files of the oldest are absent in every window."""
    shutil.copytree(dataset.root, tmp_path / "copy")
    paths = DataPaths(tmp_path / "copy", dataset.maps)
    chosen = [scene for scene in scenes if scene.log.name == "straight" and scene.index in (3, 4, 5)]
    for frame in chosen[0].log.frames[:3]:
        (paths.blob_dir(SPLIT) / frame.lidar_path).unlink()
    some = {"paths": paths, "scenes": {"train": chosen}, "missing": "mask", "labels": None, "batch_size": 5}
    data = NavsimDataModule(
        cache_root=tmp_path / "cache",
        anchors=make_module().anchors,
        feature_spec=SPEC,
        needs=NEEDS,
        **some,
    )
    data.build_caches()
    with pytest.raises(
        UserError, match=r"num_frames is 4, .* no window of train more than 3: set fusion\.num_frames=3"
    ):
        data.setup("fit")
    data.needs = replace(NEEDS, frames=3)
    data.setup("fit")
    assert data.datasets["train"].valid.sum(1).tolist() == [1, 2, 3]


def test_scenes_whose_files_are_absent_or_damaged_may_be_skipped(make_module, dataset, scenes, tmp_path, capsys):
    """A camera file is absent, a cloud is cut, a log names no file: each costs the scenes whose window needs it."""
    shutil.copytree(dataset.root, tmp_path / "copy")
    paths = DataPaths(tmp_path / "copy", dataset.maps)
    chosen = [scene for scene in scenes if scene.log.name == "straight"]
    frames = chosen[0].log.frames
    blobs = paths.blob_dir(SPLIT)
    (blobs / frames[5].cameras["CAM_L0"].path).unlink()
    cloud = blobs / frames[6].lidar_path
    cloud.write_bytes(cloud.read_bytes()[:300])
    nameless = [replace(f, cameras={}) if f is frames[7] else f for f in frames]
    chosen = [replace(scene, log=replace(scene.log, frames=nameless)) for scene in chosen]

    def module(**options):
        some = {"paths": paths, "scenes": {"train": chosen}, "labels": None, "batch_size": 5, "feature_spec": SPEC}
        some |= {"cache_root": tmp_path / "cache", "anchors": make_module().anchors}
        return NavsimDataModule(**some, needs=replace(NEEDS, frames=1), **options)

    with pytest.raises(UserError):
        module().build_caches()
    capsys.readouterr()
    data = module(missing="drop")
    data.build_caches()
    assert data.left_out == {"train": 3}
    assert [scene.index for scene in data.scenes["train"]] == [i for i in range(len(chosen)) if i not in (5, 6, 7)]
    printed = capsys.readouterr().out
    assert f"1 of {len(chosen)} scenes left out, first {frames[5].token}: a sensor file is absent" in printed
    assert printed.count("scenes left out") == 3
    data.build_caches()
    assert data.left_out == {"train": 3}, "nothing is counted twice"
    data.setup("fit")
    assert len(data.datasets["train"]) == len(chosen) - 3
    with pytest.raises(UserError, match=r"data\.missing is 'skip'"):
        module(missing="skip")


def test_wrong_labels_are_refused(make_module, tmp_path, scenes, anchors):
    write_score_table(tmp_path / "few", [s.token for s in scenes[:7]], np.ones((7, 5, 12)), fingerprint(anchors), "t")
    data = make_module(labels=tmp_path / "few")
    data.prepare_data()
    with pytest.raises(UserError, match="no labels for 2 of 9 scenes"):
        data.setup("fit")
    other = make_module(anchors=anchors[::-1])
    with pytest.raises(UserError, match="labels were made for anchors"):
        other.setup("fit")


def test_bad_arguments_are_named(make_module, scenes):
    with pytest.raises(UserError, match="splits \\['training'\\]"):
        make_module(scenes={"training": scenes})
    with pytest.raises(UserError, match=r"data\.missing is 'masked'; set it to error, drop, mask"):
        make_module(missing="masked")
    data = make_module(scenes={"train": [], "val": scenes})
    with pytest.raises(UserError, match="no scenes for train"):
        data.setup("fit")
    with pytest.raises(UserError, match="no scenes for test"):
        make_module(scenes={"val": scenes}).test_dataloader()


def test_datasets_travel_to_processes_without_pixels_or_scenes(make_module):
    data = make_module()
    data.prepare_data()
    data.setup("fit")
    windows = data.datasets["train"]
    windows.frame_reader.read(0)  # an open map must not travel
    assert len(pickle.dumps(windows)) < 40_000
