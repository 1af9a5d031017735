"""``test.parquet`` of a run: scores on the test split and the overlap of its predicted future maps, scene by scene.

``test.parquet`` beside the verdict, one row a scene: token, log, valid, ``why`` and ``causes`` of lost sub-scores
(pdm.evaluation.evaluate_scenes), the names of ``PDMS_COLUMNS`` with the score as ``pdms``, ade and fde (m), and for
each class k of the BEV map the cells of intersection and union of the imagined future map with the true one,
``future_both_k`` and ``future_any_k`` (of planners that imagine one); ``situation_<name>`` (bool), what kind of
scene it is (wotempo.report.situation); and ``metric`` and ``token_set``, what it was measured by and on. Where the
split has twin scenes, ``twins.parquet`` has one row a pair (wotempo.evaluation.twins.rows).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wotempo.config.schema import RunConfig
from wotempo.data.module import NavsimDataModule
from wotempo.datasets import Progress, dataset_of, split_scenes
from wotempo.evaluation.scoring import score_all
from wotempo.evaluation.twins.readings import AnchorReadings
from wotempo.evaluation.twins.watch import TwinWatch
from wotempo.evaluation.windows import windows_of
from wotempo.navsim import DataPaths, Scene
from wotempo.navsim.files import write_bytes
from wotempo.navsim.per_scene import each
from wotempo.navsim.scores import TITLES
from wotempo.pdm.metrics import PDMS_COLUMNS
from wotempo.report.scores import TEST_FILE
from wotempo.report.situation import PREFIX, SITUATIONS, situations
from wotempo.report.token_set import Scored, with_columns
from wotempo.report.twins import SHOWN, TWINS_FILE, lines
from wotempo.report.twins import TITLES as TWIN_TITLES
from wotempo.training.module import LitPlanner


def overlap_counts(predicted: Tensor, truth: Tensor, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Class maps (B, M, R, C) each -> cells in both and in either, (B, classes) int64 each."""
    kinds = torch.arange(classes, device=truth.device)[:, None, None, None]
    here, there = predicted[:, None] == kinds, truth[:, None] == kinds  # (B, K, M, R, C)
    both, either = ((here & there).sum((2, 3, 4)), (here | there).sum((2, 3, 4)))
    return both.cpu().numpy(), either.cpu().numpy()


@torch.no_grad()
def drive_all(
    module: LitPlanner, loader, readings: AnchorReadings | None = None
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Plans by token, (8, 3), and a table of the overlap counts by token, of the tokens alone where the planner
    imagines no future. ``readings``, if any, looks at every batch."""
    plans, rows = dict[str, np.ndarray](), []
    classes = module.model.config.num_bev_classes
    for batch in loader:
        moved = module.transfer_batch_to_device(batch, module.device, 0)
        out = module.model(moved)
        planned = module.model.select(out["fused_bev"], moved["status"])
        if readings is not None:
            readings.add(module.model, moved, planned)
        plan = planned["trajectory"].float().cpu().numpy()
        plans |= dict(zip(batch["tokens"], plan, strict=True))
        if "fut_bev_semantic_map" not in out:
            rows += [{"token": token} for token in batch["tokens"]]
            continue
        truth = moved["future_map"]
        imagined = out["fut_bev_semantic_map"].argmax(1).unflatten(0, truth.shape[:2])
        both, either = overlap_counts(imagined, truth, classes)
        for i, token in enumerate(batch["tokens"]):
            counts = {f"future_both_{k}": both[i, k] for k in range(classes)}
            rows.append({"token": token, **counts, **{f"future_any_{k}": either[i, k] for k in range(classes)}})
    return plans, pd.DataFrame(rows)


def test_data(
    config: RunConfig, module: LitPlanner, paths: DataPaths, scenes: list[Scene], progress: Progress
) -> NavsimDataModule:
    """``scenes`` of the test split with their targets, in the windows that ``module`` wants."""
    return windows_of(
        module,
        config,
        paths,
        {"test": scenes},
        progress,
        batch_size=config.trainer.batch_size,
        num_workers=config.trainer.num_workers,
        supervised=("test",),
    )


def score_run(config: RunConfig, module: LitPlanner, run_dir: Path, progress: Progress) -> None:
    """Drive the test split with ``module`` and write ``test.parquet``, and of twin scenes ``twins.parquet`` before
    it: a run that has the first is scored."""
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.ready(progress)
    scenes = split_scenes(dataset, paths, "test", progress)
    data = test_data(config, module, paths, scenes, progress)
    scenes = data.scenes["test"]  # without those whose sensors are absent, where they may be skipped
    watch = TwinWatch.begin(paths, "test", scenes)
    readings = None if watch is None else watch.over("model", module)
    plans, overlaps = drive_all(module.eval(), data.test_dataloader(), readings)
    if watch is not None:
        twins = watch.rows(dataset, paths, {"model": plans}, progress)
        write_bytes(run_dir / TWINS_FILE, twins.to_parquet(index=False))
        kind, pairs, *figures = lines(twins, dict.fromkeys(SHOWN))[0]
        told = ", ".join(f"{TWIN_TITLES[name]} {text}" for name, text in zip(SHOWN, figures, strict=True))
        print(f"twins: {told} over {pairs} pairs, {kind}", flush=True)
    rows = score_all(config.data.prepare_workers, "pdms", [], paths, scenes, {"model": plans}, progress)
    named = rows.rename(columns={official: name for name, official in PDMS_COLUMNS.items()} | {"score": "pdms"})
    # What cannot be told of a scene that cannot be scored either: its row says why.
    known, _ = each({scene.token: scene for scene in scenes}, situations)
    kinds = pd.DataFrame([{"token": s.token, **known.get(s.token, dict.fromkeys(SITUATIONS, False))} for s in scenes])
    kinds = kinds.rename(columns={name: f"{PREFIX}{name}" for name in SITUATIONS})
    whole = named.merge(overlaps, on="token", validate="one_to_one").merge(kinds, on="token", validate="one_to_one")
    named = with_columns(whole, TITLES["pdms"])
    write_bytes(run_dir / TEST_FILE, named.to_parquet(index=False))
    print(f"test: {Scored.in_rows(named)}", flush=True)
