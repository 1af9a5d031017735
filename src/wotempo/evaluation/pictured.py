"""Scenes of the test split as a checkpoint sees them, for pictures (see wotempo.report.pictures.scene_card)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from wotempo.batch import Batch
from wotempo.checkpoints.rebuild import load_module
from wotempo.config.stored import config_with_images
from wotempo.data import WindowCollator
from wotempo.datasets import Progress, dataset_of, split_scenes
from wotempo.evaluation.scored import test_data
from wotempo.features import FeatureSpec
from wotempo.features.camera import stitched_pixels
from wotempo.navsim import Scene
from wotempo.navsim.per_scene import attempted
from wotempo.targets import trajectory_target
from wotempo.training.module import LitPlanner
from wotempo.training.samples import collect_samples

GROUND_M = -0.4  # the rear axle is so far above the ground: exactly in a town, about so in NAVSIM
BATCH = 4  # windows at a time: pictures must not need more memory than training did
Samples = list[dict[str, np.ndarray]]


class Photographer:
    """Takes pictures of test scenes with a run's last checkpoint."""

    def __init__(self, run: Path, progress: Progress) -> None:
        self.progress = progress
        self.failed: dict[str, str] = {}  # token -> why there is no picture of it
        self.config = config_with_images(run)
        self.module = load_module(run / "checkpoints" / "last.ckpt")
        dataset = dataset_of(self.config.data, self.config.workspace)
        self.paths = dataset.ready(progress)
        found = split_scenes(dataset, self.paths, "test", progress)
        self.scenes = {scene.token: scene for scene in found}

    def sequence(self, token: str | None, count: int) -> list[str]:
        """``count`` scenes of one log, half a second apart, around ``token``; None: of the first log."""
        of = self.scenes[token] if token is not None else next(iter(self.scenes.values()))
        tokens = [t for t, scene in self.scenes.items() if scene.log.name == of.log.name]
        first = max(0, min(tokens.index(of.token) - count // 2, len(tokens) - count))
        return tokens[first : first + count]

    def take(self, tokens: list[str]) -> Samples:
        """One sample per token: ``SAMPLE_FIELDS``, and what ``scene_card`` names. A scene that cannot be looked at has
        none, and ``failed`` says why."""
        samples, why = attempted(partial(self._together, tokens))
        if samples is not None:
            return samples
        if len(tokens) == 1:
            self.failed[tokens[0]] = why
        return [sample for token in tokens for sample in self.take([token])] if len(tokens) > 1 else []

    def _together(self, tokens: list[str]) -> Samples:
        chosen = [self.scenes[token] for token in tokens]
        data = test_data(self.config, self.module, self.paths, chosen, self.progress)
        data.setup("test")
        windows = data.datasets["test"]
        collate = WindowCollator(windows, images=True)
        place = {scene.token: i for i, scene in enumerate(data.scenes["test"])}
        samples: Samples = []
        for start in range(0, len(chosen), BATCH):
            members = chosen[start : start + BATCH]
            items = [windows[place[scene.token]] for scene in members]
            for item, scene in zip(items, members, strict=True):
                if data.anchors is not None:
                    item["sampled_anchor"] = np.array([_nearest_anchor(data.anchors, scene)])
            samples += _look(self.module, collate(items), members, windows.feature_spec)
            self.progress("plan scenes for pictures", len(samples), len(chosen))
        return samples


def _nearest_anchor(anchors: np.ndarray, scene: Scene) -> int:
    """The one whose future is shown: what comes if the ego drives about as the expert did."""
    apart = np.linalg.norm(anchors[..., :2] - trajectory_target(scene)[:, :2], axis=-1)
    return int(apart.mean(-1).argmin())


@torch.no_grad()
def _look(module: LitPlanner, batch: Batch, scenes: list[Scene], spec: FeatureSpec) -> Samples:
    arrays = collect_samples(module, batch, len(scenes))
    if (imagined := module.model(batch).get("fut_bev_semantic_map")) is not None:
        arrays["future_truth"] = batch["future_map"][:, 0].numpy()
        arrays["future_predicted"] = imagined.argmax(1).to(torch.uint8).numpy()
    samples = [{name: values[i] for name, values in arrays.items()} for i in range(len(scenes))]
    for sample, scene in zip(samples, scenes, strict=True):
        for name in ("expert", "plan"):
            sample[f"camera_{name}"] = _on_camera(sample[name], scene, spec)
        if "all_trajectory" in sample:
            sample["camera_all"] = np.stack([_on_camera(line, scene, spec) for line in sample["all_trajectory"]])
    return samples


def _on_camera(line: np.ndarray, scene: Scene, spec: FeatureSpec) -> np.ndarray:
    """A trajectory (8, 3) on the ground -> (41, 2) pixels of the stitched view, NaN where it is out of sight."""
    poses = np.concatenate((np.zeros((1, 2)), line[:, :2]))
    dense = np.linspace(0, len(poses) - 1, 41)
    xy = [np.interp(dense, np.arange(len(poses)), poses[:, axis]) for axis in (0, 1)]
    return stitched_pixels(np.stack((*xy, np.full(41, GROUND_M)), 1), scene.current, spec)
