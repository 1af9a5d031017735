"""Every reader of run folders, on hundreds of damaged files: what it needs it reads, what it cannot read it names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from hydra import compose
from matplotlib import pyplot as plt
from mutations import mutations
from omegaconf import OmegaConf
from report_runs import run_folder, scored
from scene_samples import samples

from callbacks.verdict import rank_notes
from wotempo.commands.replay import read_record
from wotempo.config.composition import loaded
from wotempo.config.stored import checked, stored
from wotempo.errors import UserError
from wotempo.evaluation.report_scenes import take_pictures
from wotempo.records.reading import Damaged, read_verdicts
from wotempo.records.run_folders import run_folders
from wotempo.report.ablation import read_jobs
from wotempo.report.comparison import compare, latest_finished
from wotempo.report.comparison_page import comparison_page
from wotempo.report.run_files import read_files
from wotempo.report.run_page import run_page
from wotempo.report.sides import all_sides, sides
from wotempo.runs.metrics_file import keep_rows
from wotempo.runs.sweep import table
from wotempo.runs.unfinished import claim_run_dir, unfinished_runs
from wotempo.tracking.tags import job_type_of

COUNT = 150
PAGES_EVERY = 30  # figures cost most

NO_PICTURES = {"scenes": 0, "windows": 0}


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch) -> None:
    """Pages without their figures: what is drawn was read before."""
    monkeypatch.setattr("wotempo.report.run_page.draw", lambda *_: b"")
    for place in ("drivers", "comparison_page"):
        monkeypatch.setattr(f"wotempo.report.{place}.svg", lambda figure: plt.close(figure) or b"")
    monkeypatch.setattr("wotempo.evaluation.report_scenes.scene_card", lambda _: b"")
    for place in ("comparison", "run_page"):
        monkeypatch.setattr(f"wotempo.report.{place}.bootstrap_interval", lambda *_: (0.0, 1.0))


def compose_plain() -> str:
    """The config.yaml of a run, as ``train`` writes it."""
    with loaded():
        config = compose("train", overrides=["experiment=baseline_1epoch", "run_dir=unset"])
    return OmegaConf.to_yaml(config, resolve=True)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    """A sweep of one run with all files that runs leave."""
    folder = run_folder(tmp_path_factory.mktemp("healthy") / "variant=x" / "seed=0", "x", scores=scored())
    curves = folder / "metrics" / "metrics.csv"
    curves.write_text("\n".join(curves.read_text().split("\n")[:40]) + "\n")
    np.savez_compressed(folder / "samples.npz", **samples(1, 2))
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "hydra.yaml").write_text("hydra:\n  mode: RUN\n  runtime: {choices: {variant: x}}\n")
    verdict = json.loads((folder / "verdict.json").read_text())
    verdict["criteria"].append(
        {"name": "plan", "status": "pass", "policy": "fail", "measured": 0.5, "limit": 1.0, "message": "", "hint": "",
         "details": {"ade": {"plan": 1.0, "still": 2.0}, "pdms": {"plan": 0.5}, "scenes": 3, "scored": 2}}
    )  # fmt: skip
    verdict["facts"] |= {"signature": "ab", "fusion": {"name": "convgru"}, "parameters": 9, "scenes": {"train": 3}}
    # Unsealed, as of an earlier version: nothing but its form shows what was changed.
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return folder


def look_through(run: Path, pages: bool = True) -> None:
    """What leaderboard, compare, report, the sweep's table, train and resume do with earlier runs, without pictures."""
    root = run.parent.parent
    verdicts, _ = read_verdicts(run_folders(root))
    latest_finished(verdicts, "x")
    unfinished_runs(root, "ab")
    table(read_jobs(root))
    for work in (
        lambda: claim_run_dir(run, "ab", reuse=True),
        lambda: all_sides([root]),
        lambda: compare(*2 * sides([root])),
        lambda: read_files(run),
        lambda: comparison_page([compare(*2 * sides([root]))]) if pages else None,
        lambda: (
            run_page(read_files(run), take_pictures(read_files(run), NO_PICTURES, lambda *_: None)) if pages else None
        ),
    ):
        with _one_sentence():
            work()


class _one_sentence:
    """A UserError of one line is an answer; any other exception is a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> bool:
        return isinstance(error, UserError) and "\n" not in str(error)


def run_of(healthy: Path, folder: Path) -> Path:
    run = folder / "variant=x" / "seed=0"
    shutil.copytree(healthy, run)
    return run


def survive(file: Path, kind: str, work: Callable[[], object], times: int = COUNT) -> None:
    """``work`` on each mutation of ``file``, which is there again afterwards."""
    content = file.read_bytes()
    for number, damaged in enumerate(mutations(content, times, crc32(file.name.encode()), kind)):
        file.write_bytes(damaged)
        try:
            with _one_sentence():
                work()
        except Exception as error:
            raise AssertionError(f"mutation {number} of {file.name}: {damaged[:300]!r}") from error
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("verdict.json", "json"), ("metrics.json", "json"), ("metrics/metrics.csv", "csv"), ("test.parquet", "")],
)
def test_no_file_of_a_run_ends_in_a_traceback(healthy, tmp_path, monkeypatch, name, kind):
    run = run_of(healthy, tmp_path)
    turns = count()
    survive(run / name, kind, lambda: look_through(run, pages=next(turns) % PAGES_EVERY == 0))


def test_what_a_report_cannot_read_it_names_and_leaves_out(healthy, tmp_path):
    run = run_of(healthy, tmp_path)

    def read() -> None:
        files = read_files(run)
        assert len(files.samples) + len(files.damage) == 1
        assert all("samples.npz cannot be read" in note for note in files.damage)

    survive(run / "samples.npz", "", read)


def test_a_configuration_is_read_whole_or_refused(healthy, tmp_path):
    run = run_of(healthy, tmp_path)
    raw = compose_plain()
    (run / "config.yaml").write_text(raw)

    def read() -> None:
        checked(run, stored(run), {"run_dir": str(run), "fresh": False})

    read()
    survive(run / "config.yaml", "yaml", read, COUNT // 10)  # each builds a stage


def test_curves_of_a_continued_run_go_on_or_begin_anew(healthy, tmp_path):
    run = run_of(healthy, tmp_path)
    file = run / "metrics" / "metrics.csv"

    def resume() -> None:
        keep_rows(file, 20)
        kept = file.with_suffix(".damaged.csv")
        assert not (kept.exists() and file.exists())
        kept.unlink(missing_ok=True)

    survive(file, "csv", resume)


def test_what_hydra_left_is_no_condition(healthy, tmp_path):
    run = run_of(healthy, tmp_path)
    survive(run / ".hydra" / "hydra.yaml", "yaml", lambda: job_type_of(run))


def test_the_note_of_a_rank_is_read_whole_or_passed_over(tmp_path):
    note = {"status": "rejected", "exit_code": 10, "reason": "x", "failure": ["loss", "it rises"]}
    file = rank_notes.note_of(tmp_path, 1)
    file.write_text(json.dumps(note))
    assert rank_notes.first_of_others(tmp_path, 2) == (1, note)

    def read() -> None:
        found = rank_notes.first_of_others(tmp_path, 2)
        assert found is None or set(rank_notes.PARTS) <= set(found[1])

    survive(file, "json", read)


def test_the_record_of_a_failed_step_is_read_whole_or_refused(tmp_path):
    torch.save({"micro_batches": [{"batch": 1}]}, tmp_path / "step.pt")
    torch.save({"state_dict": {}}, tmp_path / "weights.pt")
    facts = {name: "x" for name in ("criterion", "exception", "message", "weights_are")}
    facts |= {"step": 1, "epoch": 0, "micro_batch": 0, "tokens": ["a"], "terms": {"loss": "nan", "map": 0.5}}
    culprit = {"stage": "forward", "module": "m", "parameter": "", "sentence": "s"}
    (tmp_path / "facts.json").write_text(json.dumps({**facts, "culprit": culprit}))
    assert read_record(tmp_path).facts["terms"]["map"] == 0.5
    for name, kind in (("facts.json", "json"), ("step.pt", ""), ("weights.pt", "")):
        survive(tmp_path / name, kind, lambda: read_record(tmp_path), COUNT // 2)


def test_no_yaml_unpacks_to_more_than_it_holds(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(Damaged, match="an alias"):
        stored(tmp_path)
