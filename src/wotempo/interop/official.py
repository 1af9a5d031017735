"""Checkpoints of the official WoTE code (liyingyanUCAS/WoTE): a Lightning module holds an agent, which holds the model.

Its loader reads ``torch.load(path)["state_dict"]``, throws the anchors away (it takes those of ``cluster_file_path``),
strips ``agent.`` and is not strict: what lacks there stays random. So both ways are strict here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from wotempo.checkpoints.described import training_time
from wotempo.checkpoints.plain_file import read_plain
from wotempo.errors import UserError
from wotempo.interop.compare import check_tensors
from wotempo.interop.weights import (
    ANCHORS,
    WoTEWeights,
    check_anchors,
    wanted_tensors,
    without_prefix,
)
from wotempo.interop.written import Written, write_files
from wotempo.planners.config import ModelConfig, sizes

OFFICIAL_PREFIX = "agent.WoTE_model."
# Fields that the file or the way of training decides; the official code fixes all others.
FREE = (  # what training does, or how; the trained function is the same
    "mode", "future_steps", "dropout", "scene_dropout", "cell_dropout", "zero_init_last", "agent_head", "history_grad",
    "activation_checkpointing", "batch_norm", "history_sensors",  # the official code has no history
)  # fmt: skip


def import_official(path: str | Path, config: ModelConfig | None = None) -> WoTEWeights:
    """Reads an official checkpoint, or its state dict alone. UserError (DifferentWeights) names what does not fit.

    config: sizes and number of anchors, by default the published model's. The mode becomes ``compat``, and the number
    of future steps is the file's own.
    """
    path = Path(path)
    content = read_plain(path)
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} holds no state_dict with tensors: give a checkpoint of the official WoTE")
    if not any(str(key).startswith(OFFICIAL_PREFIX) for key in state):
        raise UserError(f"{path} {_another_model(state)}")
    config = replace(config or sizes("wote"), mode="compat")
    config = replace(config, future_steps=_future_steps(state, config))
    check_anchors(path, state.get(OFFICIAL_PREFIX + ANCHORS), config)
    remedy = "give the file as the official code wrote it, or a configuration with the sizes that it was trained with"
    check_tensors(path, state, wanted_tensors(config, OFFICIAL_PREFIX), remedy)
    return WoTEWeights(config, without_prefix(state, OFFICIAL_PREFIX), path, **training_time(content))


def export_official(
    weights: WoTEWeights, output: str | Path, config: ModelConfig | None = None, overwrite: bool = False
) -> Written:
    """Writes what the official agent's loader takes, and the anchors for its ``cluster_file_path``.

    config: the sizes that the official code is run with, by default the published ones. UserError where the weights
    would be another function there.
    """
    _check_same_function(weights, config or sizes("wote"))
    state = {OFFICIAL_PREFIX + key: value for key, value in weights.tensors.items()}
    content = {"epoch": weights.epoch, "global_step": weights.global_step, "state_dict": state}
    return write_files(weights, content, Path(output), overwrite)


def _another_model(state: Mapping[Any, Any]) -> str:
    """What a file without any official key is."""
    first = next(iter(state))
    if str(first).startswith("model."):
        return f"is a checkpoint of this project already (its first key is {first}): use it as it is"
    return (
        f"is not of the official WoTE: no key begins with {OFFICIAL_PREFIX}, the first is {first}; "
        "give a checkpoint of the official WoTE"
    )


def _future_steps(state: Mapping[Any, Any], config: ModelConfig) -> int:
    """The reward convolution reads the present map and K imagined ones: its kernel is (d, (K + 1)·d, 3, 3)."""
    kernel = state.get(f"{OFFICIAL_PREFIX}reward_conv_net.conv1.weight")
    if isinstance(kernel, Tensor) and kernel.ndim == 4:
        maps, rest = divmod(kernel.shape[1], config.d_model)
        if maps > 1 and rest == 0 and config.num_poses % (maps - 1) == 0:
            return maps - 1
    return config.future_steps  # the comparison will name the kernel


def _check_same_function(weights: WoTEWeights, official: ModelConfig) -> None:
    ours, path = weights.config, weights.source
    if ours.mode != "compat":
        raise UserError(
            f"{path} was trained in the layout '{ours.mode}', and the official code would run it in the other one (its "
            "splat and its stretched map): the plans would be others; train with model.mode=compat to export"
        )
    ours_plain, official_plain = ours.to_dict(), official.to_dict()
    different = [key for key in ours_plain if key not in FREE and ours_plain[key] != official_plain[key]]
    if different:
        first = different[0]
        others = f" (and {', '.join(different[1:])} differ, too)" if different[1:] else ""
        raise UserError(
            f"{path} has {first} {ours_plain[first]}, the official code {official_plain[first]}{others}: there the "
            "weights would be another function; export a model of those sizes, or name the sizes it will be run with"
        )
