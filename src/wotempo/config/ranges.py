"""Between which values the numbers of a run may lie: what a library would refuse late, or never, is refused at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from wotempo.config.schema import RunConfig
from wotempo.errors import UserError

MANY = 10**9  # steps, scenes, … : more than any run has
SIZE = 1 << 14  # of an axis of an image, a map, a layer

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),  # numpy takes no others
    "comparison.margin": (0, MANY),
    "data.seed": (0, 2**32 - 1),
    "data.extra_drives": (0, 10**6),
    "data.prepare_workers": (1, 1024),
    "data.train.max_scenes": (1, MANY),
    "data.val.max_scenes": (1, MANY),
    "data.test.max_scenes": (1, MANY),
    "model.image_height": (32, SIZE),
    "model.image_width": (32, SIZE),
    "model.lidar_shape": (32, SIZE),
    "model.lidar_max": (1, 255),  # features are bytes
    "model.status_size": (1, SIZE),
    "model.num_poses": (1, 80),
    "model.stage_blocks": (1, 100),
    "model.stage_channels": (16, SIZE),
    "model.stem_channels": (16, SIZE),
    "model.image_tokens": (1, 1024),
    "model.bev_shape": (1, 1024),
    "model.gpt_layers": (1, 100),
    "model.gpt_heads": (1, 1024),
    "model.num_anchors": (1, 10**5),
    "model.d_model": (2, SIZE),
    "model.heads": (1, 1024),
    "model.encoder_layers": (1, 100),
    "model.encoder_ffn": (1, 1 << 18),
    "model.decoder_layers": (1, 100),
    "model.decoder_ffn": (1, 1 << 18),
    "model.dropout": (0, 1),
    "model.scene_dropout": (0, 1),
    "model.cell_dropout": (0, 1),
    "model.future_steps": (1, 80),
    "model.reward_weights": (0, MANY),
    "model.map_channels": (1, SIZE),
    "model.map_feature_shape": (1, SIZE),
    "model.map_shape": (1, SIZE),
    "model.num_bev_classes": (1, 255),  # maps are bytes
    "model.num_agents": (1, 10**4),
    "model.history_grad": (0, 1024),
    "optimiser.lr": (0, 1),
    "optimiser.weight_decay": (0, 100),
    "optimiser.warmup_fraction": (0, 1),
    "optimiser.final_fraction": (0, 1),
    "optimiser.image_encoder_multiplier": (0, 1000),
    "optimiser.fusion_multiplier": (0, 1000),
    "trainer.max_epochs": (-1, 10**6),
    "trainer.max_steps": (-1, MANY),
    "trainer.accumulate_grad_batches": (1, 10**6),
    "trainer.gradient_clip_val": (0, MANY),
    "trainer.check_val_every_n_epoch": (1, 10**6),
    "trainer.log_every_n_steps": (1, MANY),
    "trainer.num_sanity_val_steps": (-1, MANY),
    "trainer.checkpoint_every_n_steps": (1, MANY),
    "trainer.batch_size": (1, 1 << 16),
    "trainer.num_workers": (0, 1024),
    "trainer.run_length": (1, 1 << 16),
    "trainer.ema": (0, 1),
    "trainer.threads": (1, 4096),
    "tracking.pictures": (0, 1000),
}
"""Key -> least and most; of a tuple, of each element. None is free where the schema allows it."""
BETWEEN = {"optimiser.lr", "trainer.ema"}  # keys whose least and most are no values themselves


def check_ranges(config: RunConfig) -> None:
    """UserError for the first number that lies outside its range, or, of the open groups (fusion, losses, acceptance,
    early stopping), is not finite. Rules between keys stand in ``config.checks``."""
    for key, value in numbers(config):
        least, most = RANGES.get(key, (-math.inf, math.inf))
        if value < least:
            raise UserError(f"{key} is {value}: set it to {least:g} or more")
        if value > most:
            raise UserError(f"{key} is {value}: set it to {most:g} or less")
        if key in BETWEEN and value in (least, most):
            raise UserError(f"{key} is {value}: set it between {least:g} and {most:g}")
        if not math.isfinite(value):
            raise UserError(f"{key} is {value}: set it to a finite number")


def numbers(node: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """(dotted key, number) of a configuration; elements of a list bear its key."""
    if isinstance(node, bool):
        return
    if isinstance(node, int | float):
        yield key, node
    elif isinstance(node, list | tuple):
        for item in node:
            yield from numbers(item, key)
    elif isinstance(node, Mapping):
        for name, item in node.items():
            yield from numbers(item, f"{key}.{name}" if key else str(name))
    elif is_dataclass(node):
        yield from numbers({field.name: getattr(node, field.name) for field in fields(node)}, key)
