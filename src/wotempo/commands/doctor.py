"""What would stop a run, found before it is started: exit 0 if nothing would, 1 if something fails.

python -m wotempo.commands.doctor experiment=convgru_1epoch [key=value ...]
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.data import window_frames
from wotempo.doctor.coverage import check_maps
from wotempo.doctor.device import check_gpu, driver_version, visible_gpus
from wotempo.doctor.finding import Finding, examined, table
from wotempo.doctor.labels import check_anchors, check_labels
from wotempo.doctor.machine import check_cpus, check_memory, memory_limit_gb, usable_cpus
from wotempo.doctor.numerics import check_arithmetic, check_warp
from wotempo.doctor.sensors import check_sensors, count_sensors
from wotempo.doctor.software import check_packages, check_python, declared
from wotempo.doctor.storage import check_disk
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Scene, read_anchors
from wotempo.preparation.outlook import data_paths, still_to_write
from wotempo.preparation.prepare import (
    Progress,
    anchors_file,
    labels_folder,
    stage_scenes,
    window_of,
    with_history,
)
from wotempo.preparation.progress import PreparationProgress


def environment(config: RunConfig) -> Iterator[Finding]:
    """Software, hardware, and whether they compute what they should."""
    trainer = config.trainer
    python, requirements = declared()
    ceiling = config.acceptance.get("memory", {}).get("ceiling_gb", 0.0)
    yield check_python(python)
    yield check_packages(requirements)
    yield check_gpu(
        visible_gpus(),
        driver_version(),
        torch.cuda.get_arch_list(),
        accelerator=trainer.accelerator,
        devices=trainer.devices if isinstance(trainer.devices, int) else 1,
        precision=trainer.precision,
        ceiling_gb=ceiling,
    )
    gpu = trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
    if gpu or trainer.accelerator in ("cpu", "auto"):
        device = torch.device("cuda" if gpu else "cpu")
        yield check_arithmetic(device, trainer.precision)
        yield check_warp(device, trainer.precision)
    threads = trainer.threads or torch.get_num_threads()
    yield check_cpus(usable_cpus(), trainer.num_workers, config.data.prepare_workers, threads)
    yield check_memory(memory_limit_gb(), trainer.num_workers, trainer.accelerator, ceiling)


def sensors(config: RunConfig, paths: DataPaths, stage: str, scenes: list[Scene], progress: Progress) -> Finding:
    windows = [window_frames(scene, *window_of(config)) for scene in scenes]
    count = count_sensors(paths, getattr(config.data, stage).split, windows, progress)
    return check_sensors(stage, count, config.data.missing_history == "mask")


def labelled(config: RunConfig, paths: DataPaths, scenes: dict[str, list[Scene]]) -> Iterator[Finding]:
    """Anchors and labels, where training would look for them."""
    file = anchors_file(config.data, config.workspace, config.model.num_anchors, paths, scenes["train"])
    yield (anchors := examined("anchors", partial(check_anchors, file, config.model.num_anchors)))
    if file.is_file() and anchors.status != "fail":
        members = list({scene.token: scene for stage in ("train", "val") for scene in scenes[stage]}.values())
        values = read_anchors(file)
        given = config.data.labels
        folder = Path(given) if given else labels_folder(config.workspace, paths, members, values)
        yield examined("labels", partial(check_labels, folder, values, [scene.token for scene in members]))


def dataset_findings(config: RunConfig, progress: Progress) -> Iterator[Finding]:
    """What is on disk of the dataset and of what is made from it."""
    workspace = Path(config.workspace)
    try:
        paths = data_paths(config, progress)
    except UserError as error:
        yield Finding("dataset", "fail", str(error), "docs/real_navsim.md")
        return
    if paths is None:
        fix = "make train-convgru-1epoch generates it (some minutes)"
        yield Finding("dataset", "warn", f"town '{config.data.preset}' is not generated yet in {workspace}", fix)
        yield check_disk("disk", workspace, 0, 0)
        return
    yield Finding("dataset", "ok", f"{config.data.kind} in {paths.root}")
    all_scenes: dict[str, list[Scene]] = {}
    windows: dict[str, list[Scene]] = {}
    for stage in ("train", "val", "test"):
        try:
            all_scenes[stage] = stage_scenes(paths, config.data, stage, progress)
            windows |= with_history(config, {stage: all_scenes[stage]})
        except UserError as error:  # the test split is wanted for the scores only
            yield Finding(f"scenes {stage}", "warn" if stage == "test" else "fail", str(error))
            continue
        yield examined(f"sensors {stage}", partial(sensors, config, paths, stage, windows[stage], progress))
    frames = [scene.current for members in windows.values() for scene in members]
    if frames:
        yield examined("maps", lambda: check_maps(paths, frames))
    if {"train", "val"} <= windows.keys():
        yield from labelled(config, paths, all_scenes)
    cache = Path(config.data.cache or workspace / "cache")
    used = {stage: members for stage, members in windows.items() if stage != "test"}
    yield examined("disk", lambda: check_disk("disk", cache, *still_to_write(config, paths, used)))


def work(raw: DictConfig) -> int:
    config = check_config(raw)
    findings = list(environment(config))
    with PreparationProgress(config.trainer.progress_bar) as progress:
        findings += dataset_findings(config, progress)
    Console(width=150).print(table(findings))
    failed = [finding.check for finding in findings if finding.status == "fail"]
    print(f"{len(failed)} checks failed: {', '.join(failed)}" if failed else "nothing would stop this run")
    return 1 if failed else 0


if __name__ == "__main__":
    run("doctor", check_config, work)
