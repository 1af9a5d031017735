"""Score a checkpoint, and drivers that need no model, on a split: PDMS or EPDMS.

wotempo evaluate checkpoint=runs/…/checkpoints/last.ckpt
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from rich.table import Table

from wotempo.checkpoints.rebuild import load_module
from wotempo.command_line.entry import run
from wotempo.config.checks import check_accelerator, check_precision, check_scenes, check_tracking
from wotempo.config.schema import DataConfig, TrackingConfig, typed
from wotempo.datasets import Dataset, check_split, dataset_of, find_split, split_scenes
from wotempo.errors import UserError, require_least, require_named
from wotempo.evaluation.baselines import DRIVERS, drive
from wotempo.evaluation.planning import plan_all
from wotempo.evaluation.scoring import score_all
from wotempo.evaluation.twins.watch import TwinWatch
from wotempo.navsim import DataPaths, Scene, write_bytes
from wotempo.navsim.per_scene import by_cause
from wotempo.navsim.scenes import NO_BOXES, without_boxes
from wotempo.navsim.scores import TITLES
from wotempo.navsim.submission import Team, read_plans, require_complete, write_plans, write_submission
from wotempo.pdm.evaluation import PDM_CLOSED
from wotempo.pdm.metrics import METRICS
from wotempo.preparation.map_fit import require_fit
from wotempo.preparation.progress import PreparationProgress
from wotempo.preparation.twin_pairs import twins_of
from wotempo.preparation.windows import NO_SENSORS
from wotempo.report.scores import summarise, write_official
from wotempo.report.terminal import console
from wotempo.report.token_set import FILE as TOKENS
from wotempo.report.token_set import about_set, in_words, with_columns, write_token_sets
from wotempo.report.twins import TWINS_FILE, about_twins
from wotempo.report.twins import terminal as twin_table
from wotempo.tracking.evaluation import track_evaluation
from wotempo.training.history_evidence import HistoryTally, sentence

BASELINES = (*DRIVERS, PDM_CLOSED)


@dataclass
class EvaluateConfig:
    checkpoint: str | None
    plans: str | None  # a plans.npz or a submission file: driver "plans"
    split: str
    metric: str  # NAVSIM v1.1; or epdms: v2.2, one stage, with the human filter
    run_dir: str
    workspace: str
    data: DataConfig
    baselines: list[str]
    untrained: bool  # the same network before training, too
    imitation: bool  # what the same network plans if it goes by its imitation reward alone, too
    history: bool  # also plan without history and say what it changes (temporal checkpoints)
    precision: str  # of the inference: bf16-mixed runs on CPUs, too
    submission: bool  # also write the model's plans as the test server takes them, signed by ``team``
    team: Team
    seed: int  # of the blind MLP and the untrained network
    batch_size: int
    num_workers: int
    accelerator: str
    progress_bar: bool
    tracking: TrackingConfig  # csv, pictures, artifacts: not of an evaluation


def check(raw: DictConfig) -> EvaluateConfig:
    config = typed(raw, EvaluateConfig)
    check_tracking(config.tracking)
    for name in config.baselines:
        require_named("baseline", name, BASELINES)
    check_precision("precision", config.precision, config.accelerator)
    require_named("metric", config.metric, METRICS)
    if config.metric == "epdms" and not config.data.full_history_only:
        raise UserError("metric=epdms looks at the human's last 1.5 s: set data.full_history_only=true")
    check_split(config.split)
    if (Path(config.run_dir) / "summary.json").exists():
        raise UserError(f"{config.run_dir} holds another evaluation: choose another run_dir or remove that one")
    if config.checkpoint is not None and not Path(config.checkpoint).is_file():
        raise UserError(f"there is no checkpoint {config.checkpoint}")
    if config.plans is not None and not Path(config.plans).is_file():
        raise UserError(f"plans: there is no file {config.plans}")
    if config.checkpoint is None and config.plans is None and not config.baselines:
        raise UserError("nothing to score: give checkpoint=<file>, plans=<file>, or baselines=[human,pdm_closed]")
    if config.checkpoint is None and (config.untrained or config.imitation or config.history):
        raise UserError("untrained, imitation and history ask about a model: give checkpoint=<file>")
    require_least(1, config, "batch_size", "data.prepare_workers")
    check_accelerator("accelerator", config.accelerator)
    check_scenes(config.data)
    if config.submission:
        if config.checkpoint is None:
            raise UserError("submission=true writes a model's plans: give checkpoint=<file>")
        require_complete(config.team)
    return config


def plans_of(
    config: EvaluateConfig,
    dataset: Dataset,
    paths: DataPaths,
    scenes: list[Scene],
    progress: PreparationProgress,
    tally: HistoryTally,
    watch: TwinWatch | None,
) -> dict[str, dict[str, Any]]:
    """driver -> token -> ``pdm.evaluation.Plan``, of every driver but PDM-Closed. ``tally`` looks at the model if
    ``history`` is set, ``watch`` at every planner where the split has twin scenes."""
    blind = "ego_status_mlp" in config.baselines
    train = split_scenes(dataset, paths, "train", progress) if blind else []
    plans: dict[str, dict[str, Any]] = {
        name: drive(name, train, scenes, config.seed) for name in config.baselines if name != PDM_CLOSED
    }
    wanted = {"model": True, "imitation": config.imitation, "untrained": config.untrained}
    for variant in wanted if config.checkpoint else ():
        if wanted[variant]:
            L.seed_everything(config.seed, verbose=False)
            module = load_module(Path(str(config.checkpoint)), variant)
            if config.history and not module.is_temporal:
                raise UserError(f"{config.checkpoint} sees one frame: set history=false")
            plans[variant] = plan_all(
                module,
                config,
                paths,
                scenes,
                progress,
                batch_size=config.batch_size,
                num_workers=config.num_workers,
                accelerator=config.accelerator,
                precision=config.precision,
                progress_bar=config.progress_bar,
                tally=tally if config.history and variant == "model" else None,
                readings=None if watch is None else watch.over(variant, module),
            )
    return plans


def show(means: pd.DataFrame, columns: dict[str, str], data: str) -> None:
    """columns: heading -> column. ``data``: what the figures were measured on."""
    view = Table(title=f"{data} · means over tokens, 95 % intervals over logs")
    for column in ("driver", "scenes", *columns):
        view.add_column(column, justify="left" if column == "driver" else "right")
    for driver, values in means.iterrows():
        cells = []
        for column in columns.values():
            low, high = values[f"{column}_low"], values[f"{column}_high"]
            cells.append(f"{values[column]:.3f}" + (f"\n{low:.2f}–{high:.2f}" if np.isfinite(low) else ""))
        view.add_row(str(driver), str(int(values["scenes"])), *cells)
    console(width=32 + 12 * len(columns)).print(view)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Without intervals that do not exist: NaN is no JSON."""
    return {name: value for name, value in values.items() if not np.isnan(value)}


def failures(rows: pd.DataFrame) -> Iterator[str]:
    """One line a driver and cause."""
    for driver, failed in rows[~rows["valid"]].groupby("driver", sort=False):
        for cause in by_cause(zip(failed["token"], failed["reason"], strict=True)):
            yield f"{driver}: {cause.count} tokens failed and count as 0, first {cause.first}: {cause.reason}"


def require_some(rows: pd.DataFrame) -> None:
    """UserError where a driver has not one valid token: its zeros are no score."""
    valid = rows.groupby("driver", sort=False)["valid"].any()
    if not valid.all():
        failed = rows[rows["driver"] == valid.index[~valid][0]]
        cause = by_cause(zip(failed["token"], failed["reason"], strict=True))[0]
        who = ", ".join(valid.index[~valid])
        raise UserError(f"none of the {len(failed)} tokens of {who} could be scored; most often ({cause})")


def work(raw: DictConfig) -> int:
    config = check(raw)
    torch.set_float32_matmul_precision("high")
    run_dir = Path(config.run_dir)
    dataset = dataset_of(config.data, config.workspace)
    with PreparationProgress(config.progress_bar) as progress:
        paths = dataset.ready(progress)
        scenes, coverage = find_split(dataset, paths, config.split, progress)
    coverage.say()
    given = None if config.plans is None else planned_elsewhere(Path(config.plans), scenes)
    bare = without_boxes(scenes)
    if bare and config.checkpoint is None:
        raise UserError(f"nothing to plan and nothing to score: {NO_BOXES}")
    if bare:
        config.baselines = []
    else:
        require_fit(paths, [scene.current for scene in scenes])
    watch = None if bare else TwinWatch.begin(paths, config.split, scenes)
    run_dir.mkdir(parents=True, exist_ok=True)
    tally = HistoryTally()
    plans = plans_of(config, dataset, paths, scenes, progress, tally, watch)
    if given is not None:
        plans["plans"] = given
    if config.data.missing != "error" and "model" in plans:  # all drivers are compared on the same scenes
        seen = [scene for scene in scenes if scene.token in plans["model"]]
        coverage, scenes = coverage.without(NO_SENSORS, len(scenes) - len(seen)), seen
        coverage.say()
    content: dict[str, Any] = {
        "note": dataset.note,
        "metric": config.metric,
        "checkpoint": config.checkpoint,
        "coverage": {"text": coverage.sentence, **coverage.figures},
    }
    tokens = [scene.token for scene in scenes]
    about = {"split": config.split, "metric": TITLES[config.metric], **about_set(tokens, coverage.reasons)}
    content["token_set"] = about
    write_token_sets(run_dir, {config.split: about}, {config.split: tokens})
    if config.history:
        content["history"] = tally.figures()
    written = keep_plans(config, run_dir, plans.get("model"))
    if bare:
        write_summary(run_dir, {**content, "drivers": {}, "not_scored": NO_BOXES})
        print(f"plans written ({written}), nothing to score: {NO_BOXES}")
        return 0
    twins = None
    with PreparationProgress(config.progress_bar) as progress:
        workers = config.data.prepare_workers
        rows = score_all(workers, config.metric, config.baselines, paths, scenes, plans, progress)
        if watch is not None and config.checkpoint is not None:
            twins_of(paths, config.split, scenes)  # some may have been left out meanwhile
            twins = watch.rows(dataset, paths, plans, progress)
    if twins is not None:
        content["twins"] = about_twins(twins)
        write_bytes(run_dir / TWINS_FILE, twins.to_parquet(index=False))
    report(config, run_dir, dataset, content, rows)
    if twins is not None:
        console(width=140).print(twin_table(twins, config.split))
        print(f"per pair: {run_dir / TWINS_FILE}")
    elif watch is not None:
        print(
            f"twins: {len(watch.twins.pairs)} pairs are not measured: anchors are a planner's, give checkpoint=<file>"
        )
    require_some(rows)
    return 0


def planned_elsewhere(file: Path, scenes: list[Scene]) -> dict[str, Any]:
    """The plans of a file for these scenes; prints how many of either side have no counterpart. UserError where not one
    token is common."""
    plans, tokens = read_plans(file), {scene.token for scene in scenes}
    common = tokens & plans.keys()
    if not common:
        raise UserError(f"{file}: none of its {len(plans)} tokens is one of the {len(tokens)} of the split: set split=")
    if lacking := sorted(tokens - plans.keys()):
        print(f"plans: {len(lacking)} of {len(tokens)} tokens have no plan and count as 0, first {lacking[0]}")
    if extra := sorted(plans.keys() - tokens):
        print(f"plans: {len(extra)} of {len(plans)} plans are of tokens that are not scored here, first {extra[0]}")
    return {token: plans[token] for token in common}


def keep_plans(config: EvaluateConfig, run_dir: Path, plans: dict[str, Any] | None) -> str:
    """The model's plans as ``plans.npz``, and as the test server takes them where that is asked for -> the files."""
    if plans is None:
        return "none"
    write_plans(run_dir / "plans.npz", plans)
    files = [run_dir / "plans.npz"]
    if config.submission:
        files.append(run_dir / "submission.pkl")
        broken = write_submission(files[-1], config.team, plans)
        left_out = f", without {len(broken)} plans that are not finite, first {broken[0]}" if broken else ""
        print(f"submission: {files[-1]}{left_out}")
    return ", ".join(map(str, files))


def report(
    config: EvaluateConfig, run_dir: Path, dataset: Dataset, content: dict[str, Any], rows: pd.DataFrame
) -> None:
    """Write the table of tokens, the official files and the summary, and print the means and what failed."""
    about = content["token_set"]
    rows = with_columns(rows, about["metric"])
    about["failed"] = {str(of): int((~valid).sum()) for of, valid in rows.groupby("driver")["valid"]}
    write_bytes(run_dir / "scores.parquet", rows.to_parquet(index=False))
    official = METRICS[config.metric].columns
    for driver, of_driver in rows.groupby("driver"):
        write_official(of_driver, list(official.values()), run_dir / f"{driver}.csv")
    columns = {"ade": "ade", "fde": "fde", **official}
    means = summarise(rows, list(columns.values()))
    content |= {"drivers": {driver: _known(values) for driver, values in means.to_dict("index").items()}}
    write_summary(run_dir, content)
    track_evaluation(config.tracking, run_dir, {**content, "stage": config.split, "data": config.data.kind})
    show(means, columns, dataset.note or dataset.name)
    print(f"{about['metric']} over {in_words({**about, 'failed': 0})}: {run_dir / TOKENS}")
    if config.history:
        print(f"history: {sentence(content['history'])}")
    for line in failures(rows):
        print(line)
    print(f"per token: {run_dir}/scores.parquet, in the official columns {run_dir}/<driver>.csv")


def write_summary(run_dir: Path, content: dict[str, Any]) -> None:
    write_bytes(run_dir / "summary.json", json.dumps(content, indent=1).encode())


if __name__ == "__main__":
    run("evaluate", EvaluateConfig, check, work)
