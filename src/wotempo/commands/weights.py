"""Bring official WoTE weights in, or this project's out.

wotempo weights direction=import checkpoint=<official> output=<is written>
wotempo weights direction=export checkpoint=<ours> output=<is written>
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.checks import check_direction
from wotempo.config.schema import typed
from wotempo.configs import option_names
from wotempo.errors import UserError, require_least, require_named
from wotempo.interop import (
    DifferentWeights,
    WoTEWeights,
    Written,
    check_output,
    export_official,
    import_official,
    read_single_frame,
    write_checkpoint,
)
from wotempo.navsim import write_bytes
from wotempo.planners.config import sizes
from wotempo.program import shell_line


@dataclass
class WeightsConfig:
    direction: str | None
    checkpoint: str | None
    output: str | None
    overwrite: bool
    preset: str
    num_anchors: int | None
    run_dir: str


def check(raw: DictConfig) -> WeightsConfig:
    config = typed(raw, WeightsConfig)
    check_direction(config, "checkpoint", "output", example="checkpoint=<to read> output=<to write>")
    require_named("preset", config.preset, option_names("model"))
    require_least(1, config, "num_anchors")
    if not Path(config.checkpoint).is_file():
        raise UserError(f"there is no checkpoint {config.checkpoint}")
    check_output(Path(config.output), Path(config.checkpoint), config.overwrite)
    return config


def convert(config: WeightsConfig) -> tuple[WoTEWeights, Written]:
    official = sizes(config.preset)
    if config.num_anchors is not None:
        official = replace(official, num_anchors=config.num_anchors)
    checkpoint, output = Path(str(config.checkpoint)), Path(str(config.output))
    if config.direction == "import":
        weights = import_official(checkpoint, official)
        return weights, write_checkpoint(weights, output, config.overwrite)
    weights = read_single_frame(checkpoint)
    return weights, export_official(weights, output, official, config.overwrite)


def advice(config: WeightsConfig, weights: WoTEWeights, written: Written) -> str:
    """What to do with the files."""
    steps = weights.config.future_steps
    if config.direction == "export":
        return (
            "the official agent drops a checkpoint's anchors: in its config set\n"
            f"  cluster_file_path = {written.anchors}\n  num_fut_timestep = {steps}"
        )
    keys = ["model.mode=compat", f"model.future_steps={steps}", f"model.num_anchors={weights.config.num_anchors}"]
    keys += [f"data.anchors={written.anchors}", f"init_from={written.checkpoint}"]
    return (
        f"score it:        {shell_line('evaluate', f'checkpoint={written.checkpoint}')}\n"
        f"train from it:   {shell_line('train', 'experiment=convgru_1epoch', f'model={config.preset}', *keys)}"
    )


def work(raw: DictConfig) -> int:
    config = check(raw)
    try:
        weights, written = convert(config)
    except DifferentWeights as error:
        if not error.abbreviated:
            raise
        complete = Path(config.run_dir) / "differences.txt"
        write_bytes(complete, ("\n".join(error.differences) + "\n").encode())
        raise UserError(f"{error}; all of them: {complete}") from None
    model = weights.config
    print(
        f"{config.direction}ed {len(weights.tensors)} tensors: K = {model.future_steps}, {model.num_anchors} anchors "
        f"({weights.anchors_fingerprint}), layout {model.mode}, step {weights.global_step}"
    )
    print(f"  {written.checkpoint}\n  {written.anchors}")
    print(advice(config, weights, written))
    return 0


if __name__ == "__main__":
    run("weights", WeightsConfig, check, work)
