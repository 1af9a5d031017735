"""``Batch`` is what batches are: real windows of every variant against it, and what repeats parts of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from batch_fields import fields_of
from tiny_dataset import NUM_ANCHORS, SPEC, TARGETS

from callbacks.base.protocol import BATCH_FIELDS
from wotempo.batch import Batch
from wotempo.data.module import NavsimDataModule
from wotempo.needs import WindowNeeds
from wotempo.planners.config import sizes
from wotempo.planners.registry import build_planner

FRAMES = 4
INPUTS, WHOLE = ("always", "images"), ("targets", "anchors", "labels")
NEEDS = WindowNeeds(FRAMES, anchors=True, labels=True)
VARIANTS = {
    "inputs": (INPUTS, {"supervised": ()}),
    "targets": ((*INPUTS, "targets"), {"needs": WindowNeeds(FRAMES)}),
    "anchors": ((*INPUTS, "targets", "anchors"), {"labels": None}),
    "labels": ((*INPUTS, *WHOLE), {}),
    "lidar_stack": ((*INPUTS, *WHOLE, "lidar_stack"), {"needs": replace(NEEDS, stacks=True)}),
    "futures": (
        (*INPUTS, *WHOLE, "futures"),
        {"needs": replace(NEEDS, futures=True), "target_spec": replace(TARGETS, futures=True)},
    ),
    "motion": ((*INPUTS, *WHOLE, "motion"), {"needs": replace(NEEDS, motion=True)}),
    "frozen maps": (("always", "frozen maps", *WHOLE), {}),
}


@dataclass
class Encoder:
    fingerprint: str = "a"
    shape: tuple[int, int, int] = (2, 4, 3)

    def __call__(self, camera, lidar):
        return np.zeros(self.shape, np.float32)


@pytest.fixture
def batch_of(dataset, scenes, anchors, labels, cache_root, tmp_path):
    def make(variant: str) -> Batch:
        options = {"labels": labels, "needs": NEEDS, "target_spec": TARGETS, **VARIANTS[variant][1]}
        module = NavsimDataModule(
            paths=dataset, cache_root=cache_root, scenes={"val": scenes[:5]}, anchors=anchors, feature_spec=SPEC,
            batch_size=5, **options,
        )  # fmt: skip
        module.build_caches()
        if variant == "frozen maps":
            module.use_frozen(Encoder(), tmp_path)
        module.setup("validate")
        return next(iter(module.val_dataloader()))

    return make


def nested_lengths(value: object) -> list[int]:
    """The shape of nested lists."""
    return [len(value), *nested_lengths(value[0])] if isinstance(value, list) else []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_has_the_fields_of_its_variant_and_no_others(variant, batch_of):
    batch = batch_of(variant)
    described = fields_of(*VARIANTS[variant][0])
    assert batch.keys() == described.keys()
    sizes = {"B": 5, "T": FRAMES, "N": NUM_ANCHORS, "S": TARGETS.num_sampled}
    for name, field in described.items():
        *dims, kind = field.layout.split()
        value = batch[name]
        if kind in ("names", "numbers"):
            shape = nested_lengths(value)
        else:
            assert value.dtype == getattr(torch, kind), name
            shape = list(value.shape)
        assert len(shape) == len(dims), name
        for size, dim in zip(shape, dims, strict=True):
            assert size == (int(dim) if dim.isdigit() else sizes.setdefault(dim, size)), (name, dim)


def test_every_field_is_brought_by_some_variant():
    brought = {name for conditions, _ in VARIANTS.values() for name in fields_of(*conditions)}
    assert brought == fields_of().keys() == Batch.__annotations__.keys()


def test_the_criteria_repeat_it_rightly():
    described = fields_of()
    assert {name: described[name].layout for name in BATCH_FIELDS} == dict(BATCH_FIELDS)


@pytest.mark.parametrize("stage", ["convgru", "lidar_stack"])
def test_the_shape_contract_names_its_fields_with_their_dimensions(stage):
    described, config = fields_of(), sizes("wote_tiny")
    anchors = np.zeros((config.num_anchors, config.num_poses, 3), np.float32)
    model = build_planner("wote", config, {"name": stage, "num_frames": FRAMES}, anchors)
    for place, layout in model.shape_contract().items():
        if place.startswith("batch."):
            (*dims, kind), (*own, dtype) = layout.split(), described[place.removeprefix("batch.")].layout.split()
            assert len(dims) == len(own), place
            assert dtype.startswith(kind), place
            assert all(a == b for a, b in zip(dims, own, strict=True) if a.isalpha() or b.isdigit()), place
