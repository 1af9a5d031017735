"""Bring official WoTE weights in, or this project's out.

wotempo weights direction=import checkpoint=<official> output=<is written>
wotempo weights direction=export checkpoint=<ours> output=<is written>
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.schema import typed
from wotempo.configs import option_names
from wotempo.errors import UserError, nearest
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
from wotempo.planners.config import ModelConfig, sizes
from wotempo.program import shell_line

DIRECTIONS = ("import", "export")


@dataclass
class WeightsConfig:
    direction: str | None
    checkpoint: str | None
    output: str | None
    overwrite: bool
    preset: str
    num_anchors: int | None
    run_dir: str


@dataclass(frozen=True)
class Job:
    """A checked ``WeightsConfig``; ``model`` are the sizes of the official side."""

    direction: str
    checkpoint: Path
    output: Path
    overwrite: bool
    preset: str
    model: ModelConfig
    run_dir: Path


def check(raw: DictConfig) -> Job:
    config = typed(raw, WeightsConfig)
    for key in ("direction", "checkpoint", "output"):
        if getattr(config, key) is None:
            raise UserError(f"{key} is missing: direction=import|export checkpoint=<to read> output=<to write>")
    for key, value, known in (
        ("direction", config.direction, DIRECTIONS),
        ("preset", config.preset, option_names("model")),
    ):
        if value not in known:
            raise UserError(f"there is no {key} '{value}': {nearest(value, list(known))}")
    if config.num_anchors is not None and config.num_anchors < 1:
        raise UserError(f"num_anchors is {config.num_anchors}: set it to 1 or more")
    checkpoint, output = Path(config.checkpoint), Path(config.output)
    if not checkpoint.is_file():
        raise UserError(f"there is no checkpoint {checkpoint}")
    check_output(output, checkpoint, config.overwrite)
    model = sizes(config.preset)
    if config.num_anchors is not None:
        model = replace(model, num_anchors=config.num_anchors)
    return Job(config.direction, checkpoint, output, config.overwrite, config.preset, model, Path(config.run_dir))


def convert(job: Job) -> tuple[WoTEWeights, Written]:
    if job.direction == "import":
        weights = import_official(job.checkpoint, job.model)
        return weights, write_checkpoint(weights, job.output, job.overwrite)
    weights = read_single_frame(job.checkpoint)
    return weights, export_official(weights, job.output, job.model, job.overwrite)


def advice(job: Job, weights: WoTEWeights, written: Written) -> str:
    """What to do with the files."""
    steps = weights.config.future_steps
    if job.direction == "export":
        return (
            "the official agent drops a checkpoint's anchors: in its config set\n"
            f"  cluster_file_path = {written.anchors}\n  num_fut_timestep = {steps}"
        )
    keys = ["model.mode=compat", f"model.future_steps={steps}", f"model.num_anchors={weights.config.num_anchors}"]
    keys += [f"data.anchors={written.anchors}", f"init_from={written.checkpoint}"]
    return (
        f"score it:        {shell_line('evaluate', f'checkpoint={written.checkpoint}')}\n"
        f"train from it:   {shell_line('train', 'experiment=convgru_1epoch', f'model={job.preset}', *keys)}"
    )


def work(raw: DictConfig) -> int:
    job = check(raw)
    try:
        weights, written = convert(job)
    except DifferentWeights as error:
        if not error.abbreviated:
            raise
        complete = job.run_dir / "differences.txt"
        write_bytes(complete, ("\n".join(error.differences) + "\n").encode())
        raise UserError(f"{error}; all of them: {complete}") from None
    config = weights.config
    print(
        f"{job.direction}ed {len(weights.tensors)} tensors: K = {config.future_steps}, {config.num_anchors} anchors "
        f"({weights.anchors_fingerprint}), layout {config.mode}, step {weights.global_step}"
    )
    print(f"  {written.checkpoint}\n  {written.anchors}")
    print(advice(job, weights, written))
    return 0


if __name__ == "__main__":
    run("weights", WeightsConfig, check, work)
