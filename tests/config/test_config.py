"""Every config composes and passes its checks; mistakes are named before anything is loaded."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hydra import compose
from hydra.utils import instantiate
from omegaconf import DictConfig

from callbacks import Guard
from wotempo.command_line.entry import check_command_line
from wotempo.config.checks import check_config
from wotempo.config.composition import jobs_of, loaded
from wotempo.errors import UserError
from wotempo.fusion import STAGES
from wotempo.planners.config import ModelConfig, sizes
from wotempo.runs.provenance import settings, signature

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def composed(*overrides: str):
    with loaded():
        config = compose("train", overrides=[*overrides, "run_dir=unset"])
    return check_config(config)


def refused(*argv: str) -> str:
    with pytest.raises(UserError) as caught:
        check_command_line("train", check_config, list(argv))
    return str(caught.value)


@pytest.mark.parametrize("experiment", names("experiment"))
@pytest.mark.parametrize("model", names("model"))
@pytest.mark.parametrize("profile", names("profile"))
def test_every_experiment_composes_with_every_model_and_profile(experiment, model, profile):
    config = composed(f"experiment={experiment}", f"model={model}", f"profile={profile}")
    assert config.name == experiment


@pytest.mark.parametrize("trainer", names("trainer"))
def test_every_trainer_composes(trainer):
    assert composed(f"trainer={trainer}").trainer.max_epochs == 1


@pytest.mark.parametrize("stage", names("fusion"))
def test_every_fusion_yaml_builds_its_stage(stage):
    name = composed(f"fusion={stage}").fusion["name"]
    assert stage == name or stage.startswith(f"{name}_")  # a variant: concat_3x3 is a concat


def test_every_stage_has_a_yaml():
    assert set(names("fusion")) >= set(STAGES)


@pytest.mark.parametrize("acceptance", names("acceptance"))
def test_every_acceptance_file_builds_all_criteria(acceptance):
    guards = [instantiate(options) for options in composed(f"acceptance={acceptance}").acceptance.values()]
    assert all(isinstance(guard, Guard) for guard in guards)
    assert sorted(guard.number for guard in guards) == list(range(1, 20))


def test_longer_runs_are_judged_more_strictly():
    one, five, twenty = (composed(f"experiment=convgru_{n}epoch") for n in (1, 5, 20))
    assert [run.trainer.max_epochs for run in (one, five, twenty)] == [1, 5, 20]
    assert one.fusion == five.fusion == twenty.fusion
    drops = [run.acceptance["loss"]["min_drop"] for run in (one, five, twenty)]
    assert drops == sorted(set(drops))
    budgets = [run.acceptance["budget"]["budget_hours"] for run in (one, five, twenty)]
    assert budgets[0] is None
    assert budgets[1] < budgets[2]
    assert [run.acceptance["loader"]["policy"] for run in (one, five, twenty)] == ["warn", "warn", "fail"]
    assert five.acceptance["history"]["min_valid"] > one.acceptance["history"]["min_valid"]
    assert five.acceptance.keys() == one.acceptance.keys() == twenty.acceptance.keys()


def test_the_model_yaml_lists_every_field_so_that_each_can_be_overridden():
    listed = yaml.safe_load((CONFIGS / "model" / "wote.yaml").read_text())["model"]
    assert set(listed) == {field.name for field in fields(ModelConfig)}


@pytest.mark.parametrize(("name", "preset"), [("wote", sizes("wote")), ("wote_tiny", sizes("wote_tiny"))])
def test_the_model_yamls_are_the_presets(name, preset):
    assert composed(f"model={name}").model == preset


@pytest.mark.parametrize("ablation", sorted(set(names("ablation")) - {"fusion_frozen", "scaling"}))
def test_every_job_of_every_ablation_passes_the_checks(ablation):
    check_command_line("train", check_config, ["--multirun", f"ablation={ablation}"])


@pytest.mark.parametrize("command", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_command_reads_its_command_line(command):
    seen: list[DictConfig] = []
    check_command_line(command, seen.append, [])
    assert len(seen) == 1


def test_the_scaling_study_asks_for_the_anchors_that_all_sizes_share():
    message = refused("--multirun", "ablation=scaling")
    assert message == "data.anchors: there is no file workspace/anchors/medium-16.npy"
    check_command_line("train", check_config, ["--multirun", "ablation=scaling", "data.anchors=null"])


def test_the_ablation_on_frozen_encoders_asks_for_them():
    message = refused("--multirun", "ablation=fusion_frozen")
    assert message == "init_from: there is no file runs/ablation_layout/variant=none/seed=0/checkpoints/last.ckpt"


def test_a_sweep_is_expanded_before_it_runs():
    assert jobs_of(["fusion=none,convgru", "seed=1"]) == [["fusion=none", "seed=1"], ["fusion=convgru", "seed=1"]]
    assert "did you mean 'convgru'" in refused("--multirun", "fusion=none,convgur")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainer.max_epoch=3", "did you mean 'trainer.max_epochs'?"),
        ("+trainer.max_epoch=3", "did you mean 'max_epochs'?"),
        ("trainer.batch_size=many", "config key 'trainer.batch_size'"),
        ("fusion=convgur", "did you mean 'convgru'?"),
        ("fusion=convgur", "Known: attention, concat, "),
        ("fusion.name=gru", "Known: attention, concat, "),
        ("fusion.hiden=3", "did you mean 'fusion.hidden'?"),
        ("+fusion.hiden=3", "did you mean 'hidden'?"),
        ("acceptance.loss.min_dorp=0.1", "did you mean 'acceptance.loss.min_drop'?"),
        ("+acceptance.loss.min_dorp=0.1", "did you mean 'min_drop'?"),
        ("model.mode=fxied", "fixed"),
        ("data=nuscenes", "navsim"),
        ("trainer.batch_size=0", "1 or more"),
        ("init_from=nowhere.ckpt", "there is no file nowhere.ckpt"),
        ("fusion.frame_stride=0", "fusion.frame_stride is 0"),
        ("fusion.frame_stride=1.5", "fusion.frame_stride is 1.5"),
        ("data.seed=-1", "data.seed is -1: set it to 0 or more"),
        ("trainer.limit_train_batches=0", "nothing would be trained"),
        ("trainer.precision=bf16", "did you mean 'bf16-mixed'?"),
        ("trainer.precision=16-mixed", "needs a GPU"),
        ("trainer.ema=1", "between 0 and 1"),
        ("optimiser.schedule=compt", "did you mean 'compat'?"),
        ("model.reward_weights=[1]", "give four"),
        ("model.future_steps=0", "set it to 1, 2, 4 or 8"),
        ("model.heads=3", "does not divide model.d_model"),
        ("model.dropout=2", "model.dropout is 2"),
        ("fusion.num_frames=null", "fusion.num_frames is None"),
        ("data.train.max_scenes=-1", "data.train.max_scenes is -1"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches is 0"),
        ("trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch is 0"),
        ("trainer.limit_train_batches=abc", "a share such as 0.1"),
        ("trainer.max_steps=-5", "trainer.max_steps is -5"),
        ("trainer.accelerator=tpu", "trainer.accelerator is 'tpu'"),
        ("model.history_grad=0", "acceptance.gradient_flow.upstream=false"),
        ("justaword", "key=value"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(override, says):
    assert says in refused(override)


def test_a_missing_environment_variable_is_named(monkeypatch):
    monkeypatch.delenv("NAVSIM_DEVKIT_ROOT", raising=False)
    assert "set the environment variable NAVSIM_DEVKIT_ROOT" in refused("data=navsim")


def test_several_values_need_multirun():
    assert "--multirun" in refused("fusion=none,convgru")


EARLY = "trainer.early_stopping={monitor:val/ade,mode:min,patience:2,min_delta:0.0}"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([EARLY], "acceptance.complete.min_epochs, from 1 to 5"),
        ([EARLY, "acceptance.complete.min_epochs=0"], "acceptance.complete.min_epochs, from 1 to 5"),
        ([EARLY, "acceptance.complete.min_epochs=6"], "acceptance.complete.min_epochs, from 1 to 5"),
        ([EARLY.replace("val/", "train/"), "acceptance.complete.min_epochs=2"], "name a metric of validation"),
        ([EARLY.replace("patience:2", "patience:0"), "acceptance.complete.min_epochs=2"], "1 or more validations"),
        ([EARLY.replace("mode:min,", ""), "acceptance.complete.min_epochs=2"], "give it monitor, mode, patience"),
        ([EARLY, "acceptance.complete.min_epochs=2", "trainer.limit_val_batches=0"], "looks at validation"),
    ],
)
def test_early_stopping_is_declared_whole_or_refused(overrides, says):
    with loaded(), pytest.raises(UserError, match=says):
        check_config(compose("train", overrides=["run_dir=unset", "trainer.max_epochs=5", *overrides]))


def test_early_stopping_makes_another_run_and_none_the_same_as_before():
    with loaded():
        plain, early = (
            check_config(compose("train", overrides=["run_dir=unset", "trainer.max_epochs=5", *words]))
            for words in ([], [EARLY, "acceptance.complete.min_epochs=2"])
        )
    assert signature(plain) != signature(early)
    assert "early_stopping" not in settings(plain)["trainer"]
