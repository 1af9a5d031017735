"""The readers of what runs and sweeps leave, for ``fuzz_targets``."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from fuzz_bytes import bomb, member
from fuzz_target import Target
from fuzz_values import csv_cells, json_values, npy_bytes, npy_values, npz_values, parquet_cells, yaml_values
from report_runs import run_folder, scored
from twin_tables import table

from callbacks.verdict.rank_notes import first_of_others, note_of
from wotempo.capacity.search_space import Space
from wotempo.commands import leaderboard
from wotempo.commands.devkit_scores import read_scores
from wotempo.commands.search import Search
from wotempo.config.sweeps import Asked
from wotempo.report.pictures.listing import Pictures
from wotempo.report.run_files import read_files
from wotempo.report.run_page import run_page
from wotempo.report.twins import TWINS_FILE
from wotempo.runs.asked import ENDED, LIST, write_asked, write_end
from wotempo.runs.identity import FILE, code_and_libraries, different, read_identity, write_identity
from wotempo.runs.metrics_file import keep_rows
from wotempo.runs.shards import ShardTable
from wotempo.runs.sweep import judged
from wotempo.tracking.summary import scores_of
from wotempo.tracking.tags import job_type_of, variant_of
from wotempo.tracking.wandb_attempts import read_attempt
from wotempo.tracking.wandb_file import FULL, MAGIC, PART

TOKENS = ("a" * 16, "b" * 16, "c" * 16)


def _samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    maps = {name: rng.integers(0, 8, (2, 128, 256), np.uint8) for name in ("bev_truth", "bev_predicted")}
    return {
        "token": np.array(TOKENS[:2]), "camera": rng.integers(0, 255, (2, 32, 128, 3), np.uint8),
        "lidar": rng.random((2, 4, 32, 32), np.float32), "warped": rng.random((2, 4, 32, 32), np.float32),
        "feature": rng.random((2, 4, 8, 8), np.float32), "feature_warped": rng.random((2, 4, 8, 8), np.float32),
        "valid": np.ones((2, 4), bool), **maps, "expert": rng.random((2, 8, 3)), "plan": rng.random((2, 8, 3)),
        "all_trajectory": rng.random((2, 12, 8, 3)), "final_rewards": rng.random((2, 12)),
    }  # fmt: skip


def _run(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for kind, seed in (("a", 0), ("b", 0)):
            run = run_folder(folder / "runs" / kind / f"seed={seed}", kind, seed, scores=scored()[:12])
            (run / "metrics" / "metrics.csv").write_text("epoch,step,train/loss,val/loss,lr-AdamW/main\n" + "".join(
                f"0,{step},{10 / (1 + step)},{'' if step % 4 else 3.5},0.1\n" for step in range(12)
            ))  # fmt: skip
            np.savez(run / "samples.npz", **_samples())
            table(pairs=12).to_parquet(run / TWINS_FILE)
        return folder / "runs" / "a" / "seed=0" / name

    return make


def _reported(path: Path) -> object:
    return run_page(read_files(_run_of(path)), Pictures())


def _run_of(path: Path) -> Path:
    return next(folder for folder in path.parents if folder.name.startswith("seed="))


def _listed_runs(path: Path) -> object:
    runs = _run_of(path).parents[1]
    main: Any = leaderboard.main
    return main.__wrapped__([str(runs), f"out={runs.parent / 'board'}"])


def _official_csv(folder: Path) -> Path:
    rows = scored()[:10]
    rows = rows[["token", "valid"]].assign(score=rows["pdms"], comfort=1.0)
    rows.loc[len(rows)] = {"token": "average", "valid": True, "score": 0.5, "comfort": 1.0}
    rows.to_csv(folder / "scores.csv")
    return folder / "scores.csv"


def _wandb(folder: Path) -> Path:
    from wandb.proto import wandb_internal_pb2

    kind: Any = vars(wandb_internal_pb2)["Record"]
    begun, ended, summary = kind(), kind(), kind()
    begun.run.project, begun.run.job_type, begun.run.run_id = "wotempo", "train", "abc"
    item = summary.summary.update.add()
    item.key, item.value_json = "verdict", json.dumps("accepted")
    ended.exit.exit_code = 0
    data = MAGIC
    for record in (begun, summary, ended):
        raw = record.SerializeToString()
        data += PART.pack(zlib.crc32(raw, zlib.crc32(bytes([FULL]))), len(raw), FULL) + raw
    path = folder / "wandb" / "offline-run-1-abc" / "run-abc.wandb"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def _npz_bomb() -> bytes:
    head = npy_bytes(np.zeros((1, 8), np.float32))[:128]
    head = head.replace(b"(1, 8)", b"(50331648, 8)").replace(b" " * 7 + b"\n", b"\n")
    return bomb("camera.npy", head, 50331648 * 32)


# ---- which run it is, and what a sweep was asked for


def _identity() -> dict[str, dict[str, Any]]:
    code = dict(list(code_and_libraries()["code"].items())[:3])
    hashed = {"hash": "0" * 16, "bytes": 10, "time_ns": 1}
    return {"code": code, "data": {"navsim_logs/test/a.pkl": hashed}, "labels": {"index.json": hashed},
            "anchors": {"fingerprint": "ab"}, "criteria": {"acceptance.memory.ceiling_gb": "6"}}  # fmt: skip


def _known(folder: Path) -> Path:
    write_identity(folder, _identity())
    return folder / FILE


def _without_hash() -> bytes:
    return json.dumps({**_identity(), "data": {"navsim_logs/test/a.pkl": {"bytes": 10}}}).encode()


def _compared(path: Path) -> object:
    return [different(*pair) for pair in ((read_identity(path.parent), _identity()), (_identity(), _identity()))]


def _sweep(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        jobs = [f"fusion={kind}/seed=0" for kind in ("a", "b")]
        write_asked(folder, [Asked([job], job) for job in jobs])
        write_end(folder / jobs[0], 2, "the learning rate is NaN")
        run_folder(folder / jobs[1], "b", 0, scores=scored()[:4])
        return folder / name

    return make


def _judged(path: Path) -> object:
    return judged(next(folder for folder in path.parents if (folder / LIST).exists()), [])


def _shards(folder: Path) -> Path:
    for job in ("0", "1"):
        (folder / job).mkdir()
        (folder / job / "labels.json").write_text(json.dumps({"labelled": 3, "scenes": 4, "output": str(folder)}))
    return folder / "0" / "labels.json"


def _complete(path: Path) -> None:
    sweep: Any = SimpleNamespace(hydra=SimpleNamespace(sweep=SimpleNamespace(dir=str(path.parents[1]))))
    ShardTable().on_multirun_end(sweep)


def _started(folder: Path) -> Path:
    (folder / ".hydra").mkdir()
    hydra = {"mode": "MULTIRUN", "runtime": {"choices": {"variant": "convgru", "data": "town", "note": None}}}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    return folder / ".hydra" / "hydra.yaml"


def _tagged(path: Path) -> object:
    config: Any = SimpleNamespace(fusion={"name": "convgru"})
    return job_type_of(path.parents[1]), variant_of(config, path.parents[1])


def _rank_note(folder: Path) -> Path:
    note = {"status": "crashed", "exit_code": 1, "reason": "out of memory", "failure": ["a", "b"]}
    note_of(folder, 1).write_text(json.dumps(note))
    return note_of(folder, 1)


def _study(folder: Path) -> Path:
    search = _searched(folder)
    for _ in range(3):
        search.ask()
    return search.root / "study.log"


def _searched(root: Path) -> Search:
    keys = {"optimiser.lr": {"low": 1e-5, "high": 1e-3, "log": True}, "seed": {"choices": [0, 1]}}
    return Search(Space("lr", "val/loss", "minimize", keys), ["trainer.max_epochs=1"], root)


def _asked_again(path: Path) -> object:
    search = _searched(path.parents[1])
    return [(search.train(trial), search.verdict(trial)) for trial in search.open()], search.ask()


REPORTS = (("verdict.json", (json_values,)), ("metrics.json", (json_values,)), ("config.yaml", (yaml_values,)),
           ("metrics/metrics.csv", (csv_cells,)), ("test.parquet", (parquet_cells,)), (TWINS_FILE, (parquet_cells,)),
           ("samples.npz", (npz_values, member(npy_values))))  # fmt: skip
RUN_TARGETS: tuple[Target, ...] = (
    *(Target(f"run report, {name}", _run(name), _reported, ways, (_npz_bomb,) if name.endswith("z") else (), pace=0.15)
      for name, ways in REPORTS),
    *(Target(f"leaderboard, {name}", _run(name), _listed_runs, ways, pace=0.15) for name, ways in REPORTS[:6]),
    Target("metrics.csv that is continued", _run("metrics/metrics.csv"), lambda path: keep_rows(path, 5), (csv_cells,)),
    Target("test.parquet for wandb", _run("test.parquet"), lambda path: scores_of(_run_of(path)), (parquet_cells,),
           pace=0.5),
    Target("csv of the devkit", _official_csv, lambda path: read_scores([path]), (csv_cells,)),
    Target("file of wandb", _wandb, read_attempt),
    Target("identity of a run", _known, _compared, (json_values,), (_without_hash,)),
    Target("jobs of a sweep", _sweep(LIST), _judged, (json_values,), pace=0.3),
    Target("end of a job", _sweep(f"fusion=a/seed=0/{ENDED}"), _judged, (json_values,), pace=0.3),
    Target("labels.json of a shard", _shards, _complete, (json_values,), pace=0.5),
    Target("hydra.yaml of a run", _started, _tagged, (yaml_values,), pace=0.5),
    Target("note of a rank", _rank_note, lambda path: first_of_others(path.parent, 2), (json_values,), pace=0.5),
    Target("study of a search", _study, _asked_again, pace=0.3),
)  # fmt: skip
