"""`wotempo slurm`: what is printed, written and refused, with a one-line sbatch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wotempo.commands.slurm import main

RUN = "experiment=baseline_1epoch"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, and a PATH without Slurm."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def program(here: Path, name: str, lines: str) -> None:
    file = here / "bin" / name
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)


def test_dry_run_prints_the_job_and_leaves_nothing(here, capsys):
    assert (
        main([RUN, "machine.partition=big", "machine.hours=1.5", "machine.setup=[module load cuda]", "--dry-run"]) == 0
    )
    job = capsys.readouterr().out
    for line in ("--partition=big", "--time=90", "--gres=gpu:1", "--requeue", "--signal=B:USR1@120", "--mem=64G"):
        assert f"#SBATCH {line}\n" in job
    assert "#SBATCH --account" not in job
    *_, setup, _, _, last = job.splitlines()
    assert setup == "module load cuda"
    assert last.startswith("exec ")
    for choice in (RUN, "trainer=gpu", "trainer.batch_size=8", "acceptance.memory.ceiling_gb=40", "reuse=true"):
        assert f" {choice}" in last
    assert [path.name for path in here.iterdir()] == ["bin"]


def test_the_command_line_wins_over_the_profile(here, capsys):
    assert main([RUN, "trainer=cpu", "trainer.batch_size=2", "machine.gpus=0", "dry_run=true"]) == 0
    job = capsys.readouterr().out
    assert "--gres" not in job
    assert (job.count("trainer.batch_size="), job.count("trainer=")) == (1, 1)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("machine=mine", "there is no machine 'mine'"),
        ("machine.hour=3", "did you mean 'machine.hours'?"),
        ("machine.hours=0", "machine.hours is 0.0: set it above 0"),
        ("machine.warn_seconds=20000", "as long as the job"),
        ("trainer.max_epoch=3", "did you mean 'trainer.max_epochs'?"),
        ("seed=1,2", "add --multirun"),
        ("--dryrun", "there is no option --dryrun"),
        (RUN, "there is no sbatch here"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(argument, sentence, here, capsys):
    program(here, "sbatch", "touch submitted") if argument != RUN else None
    assert main([RUN, argument]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert len(errors.splitlines()) == 1
    assert not (here / "submitted").exists()
    assert not (here / "runs").exists()


def test_a_submission_says_how_to_watch_it(here, capsys):
    program(here, "sbatch", "echo '42;cluster'")
    assert main([RUN]) == 0
    (folder,) = (here / "runs" / "baseline_1epoch").iterdir()
    assert {path.name for path in folder.iterdir()} == {"job.sh", "job.id"}
    assert (folder / "job.id").read_text().startswith("42 ")
    printed = capsys.readouterr().out
    for command in ("squeue --job 42", f"tail -F {folder}/job.log", "sacct --job 42", "scancel 42", "make resume RUN="):
        assert command in printed
    assert f"run_dir={folder}" in (folder / "job.sh").read_text()


def test_a_run_in_the_queue_is_not_submitted_again(here, capsys):
    program(here, "sbatch", "echo 42")
    program(here, "squeue", "echo 42 PENDING")
    assert main([RUN]) == 0
    assert main([RUN]) == 2
    assert "job 42 has this run" in capsys.readouterr().err
    assert main([RUN, "seed=1", "dry_run=true"]) == 0
    assert main([RUN, "fresh=true", "dry_run=true"]) == 0
    assert "fresh=true" not in capsys.readouterr().out
    program(here, "squeue", "exit 1")
    assert main([RUN]) == 0


def test_a_refusal_of_sbatch_is_quoted(here, capsys):
    program(here, "sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    assert main([RUN]) == 2
    assert "invalid partition specified: gpu" in capsys.readouterr().err
    assert list((here / "runs" / "baseline_1epoch").iterdir()) == []


def test_a_sweep_hands_the_profile_to_submitit(here, capsys):
    assert (
        main(
            ["--multirun", RUN, "seed=1,2", "machine.account='a,b'", "machine.setup=[module load cuda]", "dry_run=true"]
        )
        == 0
    )
    printed = capsys.readouterr().out
    for option in (
        "hydra/launcher=submitit_slurm",
        "timeout_min=180",
        "gpus_per_node=1",
        "mem_gb=64",
        "module load cuda",
    ):
        assert option in printed
    assert "seed=1,2" in printed
    assert main(["--multirun", RUN, "machine.gpus=2", "dry_run=true"]) == 2
    assert "machine.gpus" in capsys.readouterr().err


def test_the_script_submits_from_any_folder(tmp_path):
    checkout = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [checkout / "scripts" / "slurm.sh", RUN, "--dry-run"],
        cwd=tmp_path, env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"#SBATCH --chdir={checkout}\n" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"exec {sys.executable} -m wotempo train ")
    assert f" {RUN} " in last
    assert list(tmp_path.iterdir()) == []
