"""The Lightning data module: builds what the caches lack, then serves windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np

from wotempo.data.bev_cache import BevCache, FrameEncoder
from wotempo.data.build import BuildReport, Progress
from wotempo.data.collate import WindowCollator
from wotempo.data.dataset import WindowDataset
from wotempo.data.filling import MODES, Caches
from wotempo.data.frame_cache import FrameCache
from wotempo.data.loader import WindowLoader
from wotempo.data.sampler import RunSampler
from wotempo.data.shared_memory import batch_bytes, require_room
from wotempo.data.stack_cache import StackCache
from wotempo.data.target_cache import TargetCache, scenes_by_log
from wotempo.data.whole import Lacking
from wotempo.errors import UserError
from wotempo.features import FeatureSpec
from wotempo.navsim.dataset import read_no_imitation
from wotempo.navsim.per_scene import by_cause
from wotempo.navsim.schema import DataPaths, Scene
from wotempo.needs import WindowNeeds
from wotempo.targets import TargetSpec, open_labels

ONE_FRAME = WindowNeeds()
SPLITS = ("train", "val", "test", "predict")


class NavsimDataModule(L.LightningDataModule):
    """Windows of ``scenes`` (split "train" | "val" | "test", or "predict", -> list) as ``Batch``es.

    Splits in ``supervised`` carry targets and what ``needs`` asks for of anchors and labels; the others inputs only.
    """

    def __init__(
        self,
        paths: DataPaths,
        cache_root: Path,
        scenes: Mapping[str, Sequence[Scene]],
        anchors: np.ndarray | None,
        labels: Path | None = None,
        *,
        batch_size: int,
        feature_spec: FeatureSpec | None = None,
        target_spec: TargetSpec | None = None,
        needs: WindowNeeds = ONE_FRAME,
        missing: str = "error",
        recheck: bool = False,
        run_length: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
        prepare_workers: int = 1,
        supervised: Sequence[str] = ("train", "val"),
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """``anchors`` (N, 8, 3) float32, and ``labels``, a score-table folder that is checked against anchors and
        scenes at setup: looked at where ``needs`` asks for them. ``needs``: what the planner wants in its batches.

        ``recheck``: look at all sensor files again, though the caches are known to be whole.
        ``missing``: what becomes of frames whose sensor files are absent or damaged (``filling.MODES``). How many
        scenes are left out is printed and kept in ``left_out``, and of how many a history frame is masked in
        ``masked``, by split.
        """
        super().__init__()
        unknown = set(scenes) - set(SPLITS)
        if unknown:
            raise UserError(f"unknown splits {sorted(unknown)} of scenes: known are {', '.join(SPLITS)}")
        self.scenes = {split: list(members) for split, members in scenes.items()}
        if needs.anchors and anchors is None:
            raise ValueError("the planner needs anchors, and the data module is given none")
        self.needs = needs
        self.anchors = np.asarray(anchors, np.float32) if needs.anchors else None
        self.labels_path = labels if needs.labels else None
        if missing not in MODES:
            raise UserError(f"data.missing is '{missing}'; set it to {', '.join(MODES)}")
        self.missing = missing
        self.recheck, self._built = recheck, False
        self.left_out: dict[str, int] = {}
        self.masked: dict[str, int] = {}
        self.batch_size, self.run_length, self.seed = batch_size, run_length, seed
        self.num_workers, self.pin_memory = num_workers, pin_memory
        self.prepare_workers = prepare_workers
        self.supervised = tuple(supervised)
        self.progress = progress
        self.prepare_data_per_node = False  # all nodes see one cache_root, so only one process fills it
        self.frames = FrameCache(cache_root, paths, feature_spec or FeatureSpec())
        self.bev: BevCache | None = None
        self.stacks = None
        if needs.stacks:
            self.stacks = StackCache(cache_root, paths, self.frames.spec, needs.frames, needs.stride)
        self.targets = TargetCache(cache_root, paths, target_spec or TargetSpec())
        self.datasets: dict[str, WindowDataset] = {}
        self._begun: dict[str, int] = {}
        self.evidence: Any = None  # what the acceptance criteria may ask of the data (callbacks.base.protocol)

    def build_caches(self) -> dict[str, BuildReport]:
        """``Caches.fill`` for all scenes; without those that cannot be used where ``missing`` allows that."""
        how = (self.prepare_workers, self.progress, self.recheck)
        reports = self.caches.fill(self.scenes, self._leave_out, *how)
        self._built = True
        return reports

    @property
    def caches(self) -> Caches:
        """What the windows are read from, but for the maps of a frozen encoder."""
        return Caches(self.frames, self.targets, self.stacks, self.needs, self.supervised, self.missing)

    def _leave_out(self, lacking: Lacking) -> dict[str, list[Scene]]:
        """The scenes, from now on without those that cannot be had. UserError where a split loses all."""
        for split in lacking.out:
            members, gone = self.scenes[split], lacking.gone(split)
            causes = by_cause(gone.items())
            if len(gone) == len(members):
                raise UserError(f"none of the {len(members)} scenes of {split} has all its sensor files ({causes[0]})")
            self.scenes[split] = [scene for scene in members if scene.token not in gone]
            self.left_out[split] = self.left_out.get(split, 0) + len(gone)
            for cause in causes:
                text = f"{split}: {cause.count} of {len(members)} scenes left out, first {cause.first}: {cause.reason}"
                print(text, flush=True)
        self.masked = {split: count for split, count in lacking.masked.items() if count}
        for split, count in self.masked.items():
            print(f"{split}: {count} of {len(self.scenes[split])} scenes have masked history frames", flush=True)
        return self.scenes

    def use_frozen(self, encoder: FrameEncoder, cache_root: Path) -> BuildReport:
        """From now on batches bring the maps of ``encoder`` in place of images; makes those that the cache lacks.
        After ``build_caches`` and before ``setup``."""
        self.bev = BevCache(cache_root, self.frames, encoder)
        logs = scenes_by_log(scene for members in self.scenes.values() for scene in members)
        refs = [ref for members in logs.values() for ref in self.caches.frames_of(members)]
        there = self.frames.has(refs)
        shown = [ref for ref, here in zip(refs, there, strict=True) if here or ref.required]
        return self.bev.build(shown, self.progress)

    def prepare_data(self) -> None:
        if not self._built:  # Lightning asks once more, also where they were made before the trainer was
            self.build_caches()

    def setup(self, stage: str) -> None:
        wanted = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("predict",)}[stage]
        for name in wanted:
            if name in self.scenes and name not in self.datasets:
                self.datasets[name] = self._dataset(name)

    def _dataset(self, name: str) -> WindowDataset:
        scenes = self.scenes[name]
        if not scenes:
            raise UserError(f"no scenes for {name}: check the split, the log list and the scene filter")
        supervised = name in self.supervised
        listed = read_no_imitation(self.targets.paths.root) if supervised else None
        anchors = self.anchors if supervised else None
        labels = None
        if self.labels_path is not None and anchors is not None:
            labels = open_labels(self.labels_path, anchors, [scene.token for scene in scenes])
        dataset = WindowDataset(
            scenes,
            self.frames,
            self.targets if supervised else None,
            labels,
            anchors,
            num_frames=self.needs.frames,
            frame_stride=self.needs.stride,
            mask_missing=self.missing == "mask",
            seed=self.seed,
            stacks=self.stacks,
            bev=self.bev,
            with_motion=self.needs.motion,
            no_imitation=frozenset() if listed is None else listed.tokens,
        )
        if name == "train" and not dataset.valid.all(1).any():
            longest = int(dataset.valid.sum(1).max())
            raise UserError(
                f"num_frames is {self.needs.frames}, but the sensor files give no window of train more than "
                f"{longest}: set fusion.num_frames={longest}, or complete the download"
            )
        return dataset

    def _loader(self, name: str) -> WindowLoader:
        if name not in self.scenes:
            raise UserError(f"no scenes for {name}: the data module was given {', '.join(self.scenes) or 'none'}")
        if name not in self.datasets:
            self.datasets[name] = self._dataset(name)
        dataset = self.datasets[name]
        if self.num_workers:
            require_room(self._batch_bytes(name), self.num_workers)
        training = name == "train"
        trainer = self.trainer
        sampler = RunSampler(
            dataset,
            run_length=self.run_length,
            shuffle=training,
            seed=self.seed,
            num_replicas=trainer.world_size if trainer is not None else 1,
            rank=trainer.global_rank if trainer is not None else 0,
        )
        if training and self._begun:
            # Now and not later: workers take their first windows as soon as they are started.
            sampler.resume_at(self._begun["epoch"], self._begun["batches"] * self._begun["batch_size"])
        return WindowLoader(
            dataset,
            batch_size=self.batch_size,
            seed=self.seed,
            sampler=sampler,
            collate_fn=WindowCollator(dataset),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.pin_memory,
        )

    def _batch_bytes(self, name: str) -> int:
        anchors = 0 if self.anchors is None else len(self.anchors)
        how = (self.batch_size, self.run_length, anchors, name in self.supervised, self.bev is None)
        return batch_bytes(self.frames.spec, self.targets.spec, self.needs, *how)

    def state_dict(self) -> dict[str, int]:
        """Where training stands: the epoch, and how many batches of it were trained on.

        Lightning's own way, a loader with a state, does not work here: ``configure_optimizers`` asks for the number of
        steps, which makes the loader before the state of the loops is restored; this state is restored earlier.
        """
        assert self.trainer is not None
        loop = self.trainer.fit_loop
        epochs: Any = loop.epoch_progress.current  # typed as a class without `started` and `processed`
        batches: Any = loop.epoch_loop.batch_progress.current
        in_the_middle = epochs.started > epochs.processed
        done = batches.processed if in_the_middle else 0
        return {"epoch": epochs.processed, "batches": done, "batch_size": self.batch_size}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._begun = state_dict

    def train_dataloader(self) -> WindowLoader:
        return self._loader("train")

    def val_dataloader(self) -> WindowLoader:
        return self._loader("val")

    def test_dataloader(self) -> WindowLoader:
        return self._loader("test")

    def predict_dataloader(self) -> WindowLoader:
        return self._loader("predict")
