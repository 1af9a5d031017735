"""The projection of a run, and that what is proposed in place of one that does not fit does fit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from hydra import compose
from small_run import MICRO, NETWORK

from wotempo.capacity import forecast
from wotempo.capacity.benchmark import Measurement
from wotempo.capacity.fake_batch import window_rows
from wotempo.capacity.fake_step import StepMemory
from wotempo.capacity.projection import Job, limited, smaller_batches
from wotempo.commands.estimate import answer, check, lines, work
from wotempo.config.composition import loaded
from wotempo.errors import UserError

TRAIN, VAL = 26_400, 4_400


def config_of(*overrides):
    with loaded():
        return compose("estimate", overrides=["run_dir=unset", "trainer.progress_bar=false", *overrides])


def on_a_gpu(batch_size, gb=8.0, gb_each=2.0, seconds=0.5, seconds_each=0.05, total_gb=80.0):
    """A device whose memory and time are linear in the batch, and which runs out of memory at ``total_gb``."""
    peak = gb + gb_each * batch_size
    if peak > total_gb:
        return None
    step = seconds + seconds_each * batch_size
    return Measurement(batch_size, 8, 12, step, 0.0, 0.1, 0.2 * step, peak, "cuda")


def asked(*overrides, device=on_a_gpu):
    config, machine, options = check(config_of(*overrides))
    return answer(config, machine, options, Job(TRAIN, VAL, 1, config.trainer), device)


def test_the_figures_of_a_run_that_fits():
    found = asked("trainer.batch_size=8", "machine.price_per_gpu_hour=2", "trainer.max_epochs=5")
    assert found.refused == found.proposal == []
    needs = found.needs
    step, val = 0.9, 0.18
    assert needs["train_batches"] == 3300
    assert needs["hours_per_epoch"] == pytest.approx((3300 * step + 550 * val) / 3600)
    assert needs["hours"] == pytest.approx(5 * needs["hours_per_epoch"])
    assert needs["requeues"] == 1  # 4.26 h in jobs of 3 h
    assert needs["cost"] == pytest.approx(2 * needs["hours"])
    assert needs["limited_by"] == "compute"
    assert "1 requeues" in " ".join(lines(needs))


REFUSED = [
    ("trainer.batch_size=32",),  # 72 GB of 40
    ("trainer.batch_size=24", "acceptance.memory.ceiling_gb=20"),
    ("trainer.batch_size=128",),  # out of memory
    ("trainer.batch_size=17",),  # a prime: only 1 leaves the optimiser's step as it is
    ("trainer.batch_size=8", "trainer.max_epochs=20", "acceptance.budget.budget_hours=6"),
    ("trainer.batch_size=8", "trainer.max_epochs=20", "estimate.requeue=false"),
    ("trainer.batch_size=8", "acceptance.budget.budget_hours=0.2"),
    ("trainer.batch_size=8", "trainer.max_steps=9000", "trainer.max_epochs=-1", "acceptance.budget.budget_hours=1"),
    ("trainer.batch_size=32", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=20", "estimate.requeue=false"),
]


@pytest.mark.parametrize("overrides", REFUSED)
def test_what_is_proposed_fits(overrides):
    found = asked(*overrides)
    assert found.refused
    assert found.proposal
    again = asked(*overrides, *found.proposal)
    assert again.refused == []


def test_the_proposed_batch_keeps_the_windows_of_a_step_and_is_not_needlessly_small():
    found = asked("trainer.batch_size=32")
    assert found.refused == ["batch_size 32 needs 72.00 GB, the limit is 40 GB"]
    assert found.proposal == ["trainer.batch_size=8", "trainer.accumulate_grad_batches=4"]
    assert asked("trainer.batch_size=128").refused == [
        "batch_size 128 needs more memory than the GPU has, the limit is 40 GB"
    ]
    assert asked("trainer.batch_size=128").proposal[0] == "trainer.batch_size=8"  # 16 would leave no tenth free


def test_fewer_epochs_or_a_part_of_one():
    assert asked(*REFUSED[4]).proposal == ["trainer.max_epochs=6"]
    assert asked(*REFUSED[6]).proposal[0] == "trainer.max_epochs=1"
    assert asked(*REFUSED[6]).proposal[1].startswith("trainer.limit_train_batches=6")
    assert asked(*REFUSED[7]).proposal == ["trainer.max_steps=3483"]


def test_where_nothing_fits_nothing_is_proposed():
    heavy = lambda batch: on_a_gpu(batch, gb=50.0)  # noqa: E731
    found = asked("trainer.batch_size=8", device=heavy)
    assert found.refused
    assert found.proposal == []
    assert asked("trainer.batch_size=8", device=lambda batch: None).needs == {}


def test_a_continued_job_has_no_time_limit_and_requeues_are_counted():
    assert asked("trainer.batch_size=8", "trainer.max_epochs=20", "estimate.requeue=true").needs["requeues"] == 5


def test_the_slower_of_loader_and_compute_sets_the_pace():
    m = on_a_gpu(8)
    assert m.step_s == pytest.approx(0.9)
    slow = replace(m, loader_s=3.0)
    assert (slow.step_s, slow.limited_by) == (3.0, "loader")
    waiting = replace(m, wait_s=1.0, loader_s=1.0)
    assert (waiting.step_s, waiting.limited_by) == (pytest.approx(1.9), "loader")


def test_lengths_are_counted_as_lightning_counts_them():
    assert [limited(66, limit) for limit in (None, 10, 100, 0.5, 0)] == [66, 10, 66, 33, 0]
    config, _, _ = check(config_of("trainer.batch_size=12", "trainer.accumulate_grad_batches=2"))
    assert smaller_batches(config.trainer) == [8, 6, 4, 3, 2, 1]
    assert Job(100, 10, 2, config.trainer).batches(12) == (5, 1)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("estimate.steps=0", "estimate.steps is 0"),
        ("estimate.warm_up=-1", "estimate.warm_up is -1"),
        ("machine.hours=0", "machine.hours is 0"),
        ("+machine.hour=3", "did you mean 'hours'?"),
        ("+trainer.max_epoch=3", "did you mean 'max_epochs'?"),
    ],
)
def test_a_mistake_is_named(override, says):
    with pytest.raises(UserError) as caught:
        check(config_of(override))
    assert says in str(caught.value)


@pytest.fixture(scope="module")
def small(micro_workspace, tmp_path_factory):
    """Overrides of a run of seconds on a micro town, with a workspace of its own."""
    workspace = shutil.copytree(micro_workspace, tmp_path_factory.mktemp("estimate") / "workspace")
    return (
        "experiment=convgru_1epoch",
        *MICRO,
        "data.prepare_workers=1",
        f"workspace={workspace}",
        "estimate.warm_up=1",
        "estimate.steps=1",
        "estimate.val_batches=1",
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_real_run_is_measured_and_refused(small, tmp_path, capsys):
    def estimated(*overrides):
        code = work(config_of(*small, f"run_dir={tmp_path}", *overrides))
        return code, json.loads((tmp_path / "estimate.json").read_text()), capsys.readouterr().out

    batch = "trainer.batch_size=16"
    code, found, printed = estimated(batch)
    assert (code, found["fits"]) == (0, True)
    assert "it fits" in printed
    assert found["measured"]["steps"] >= 1
    assert found["hours"] > 0
    code, _, printed = estimated(batch, f"acceptance.memory.ceiling_gb={found['memory_gb'] / 2:.3f}")
    assert code == 1
    assert "refused: batch_size 16 needs" in printed


FORECAST = (
    "experiment=convgru_1epoch",
    *MICRO,
    *NETWORK,
    "trainer=gpu",
    "data=navsim",
    "trainer.batch_size=8",
    "trainer.run_length=4",
)


@pytest.fixture
def bare(monkeypatch):
    """A machine that has neither a GPU nor the dataset."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_for_gpus_that_are_not_here_it_forecasts(bare, tmp_path, capsys):
    assert work(config_of(*FORECAST, f"run_dir={tmp_path}")) == 0
    found = json.loads((tmp_path / "estimate.json").read_text())
    assert found["forecast"]
    assert found["fits"]
    packed, apart = found["step_bytes"], found["step_bytes_nothing_shared"]
    assert (packed["frames"], apart["frames"]) == (14, 32)
    assert packed["activations"] < apart["activations"]
    assert packed["counted"] < packed["expected"] < packed["at_most"]
    assert found["memory_gb"] == pytest.approx(packed["expected"] / 1e9)
    printed = capsys.readouterr().out
    assert "there is no GPU here, so that nothing is measured" in printed
    assert "no GPU has confirmed it: from" in printed


def linear(step):
    """A gigabyte and a half for each frame, without the margin."""
    frames = int(window_rows(step.batch_size, step.run_length, 4).max()) + 1
    return StepMemory(frames, 0, 0, 0, 0, 0, 0, 0, int(1.5e9 * frames))


def test_a_forecast_that_does_not_fit_proposes_what_does(bare, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(forecast, "step_memory", linear)
    given = (*FORECAST, "trainer.batch_size=32", f"run_dir={tmp_path}")
    assert work(config_of(*given)) == 1
    found = json.loads((tmp_path / "estimate.json").read_text())
    assert found["proposal"] == ["trainer.batch_size=8", "trainer.accumulate_grad_batches=4"]
    assert "refused: batch_size 32 needs 91.22 GB, the limit is 40 GB" in capsys.readouterr().out
    assert work(config_of(*given, *found["proposal"])) == 0
    assert "and would not fit: a batch whose windows share none of 32 frames" in capsys.readouterr().out
    preparation = json.loads((tmp_path / "estimate.json").read_text())["preparation"]
    assert (preparation["logs"], preparation["tokens"]) == (1310, 103_288)
    assert preparation["frames"] == round(1.48 * 103_288)
    assert preparation["inodes"] > preparation["frames"] / 64


def test_a_forecast_of_a_dataset_without_published_counts(bare, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(forecast, "step_memory", linear)
    assert work(config_of(*FORECAST, "data=town", *MICRO, f"run_dir={tmp_path}")) == 0
    assert "disk      not known before the dataset is here: make plan-data" in capsys.readouterr().out
