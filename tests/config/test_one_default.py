"""A default value stands once, in yaml: configurations and schemas have the same keys, and schemas have no values."""

from __future__ import annotations

import ast
import inspect
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose
from hydra.utils import get_class
from omegaconf import OmegaConf
from wotempo.configs import option_names, values

from wotempo import configs
from wotempo.capacity.machine import MachineConfig, SlurmConfig
from wotempo.capacity.search_space import read_space
from wotempo.commands.drive import DriveConfig
from wotempo.commands.estimate import EstimateKeys
from wotempo.commands.evaluate import EvaluateConfig
from wotempo.commands.label_file import LabelFileConfig
from wotempo.commands.replay import ReplayConfig
from wotempo.commands.weights import WeightsConfig
from wotempo.config.composition import loaded
from wotempo.config.schema import DataConfig, RunConfig, TrackingConfig, TrainerConfig, typed
from wotempo.errors import UserError
from wotempo.evaluation.probes.layout_evidence import ProbeConfig
from wotempo.fusion import STAGES
from wotempo.fusion.controls.controls import CONTROLS
from wotempo.planners.config import ModelConfig, sizes
from wotempo.planners.registry import planner_class, planner_names
from wotempo.preparation.labelling import LabelsConfig
from wotempo.preparation.shards import PrepareConfig
from wotempo.training.module import LitPlanner

# Every yaml beside the groups -> the schema of its composed keys.
ROOTS: dict[str, type] = {
    "train": RunConfig, "doctor": RunConfig, "plan_data": RunConfig, "prepare": PrepareConfig,
    "estimate": EstimateKeys, "slurm": SlurmConfig,
    "evaluate": EvaluateConfig, "drive": DriveConfig, "labels": LabelsConfig, "label_file": LabelFileConfig,
    "weights": WeightsConfig, "replay": ReplayConfig, "probe_layout": ProbeConfig,
}  # fmt: skip
# Groups whose options hold the keys of one section, and those whose options change keys of a whole configuration.
SECTIONS: dict[str, type] = {
    "data": DataConfig, "trainer": TrainerConfig, "tracking": TrackingConfig, "machine": MachineConfig,
}  # fmt: skip
WHOLE = {"experiment": "train", "variant": "train", "profile": "train", "ablation": "train", "planner": "train",
         "model": "train", "acceptance": "train", "fusion": "train", "scale": "train"}  # fmt: skip
# cluster needs a launcher that is installed apart (tests/commands/test_labels.py); agent is the devkit's; search is not
# Hydra's; older holds no defaults: these two are looked at below; logs are lists of names (tests/city/dataset).
OTHERS = {"cluster", "agent", "search", "older", "logs"}
FOLDER = Path(configs.__file__).parent


def keys_of(content: Any, schema: Any, prefix: str = "") -> tuple[set[str], set[str]]:
    """Dotted keys of a plain configuration, and those of its schema; what the schema calls a dict is one key."""
    found, wanted = set(), set()
    hints = typing.get_type_hints(schema)
    for name in {*content, *hints}:
        found |= {prefix + name} if name in content else set()
        wanted |= {prefix + name} if name in hints else set()
        if name in content and is_dataclass(hints.get(name)):
            deeper = keys_of(content[name], hints[name], f"{prefix}{name}.")
            found, wanted = found | deeper[0], wanted | deeper[1]
    return found, wanted


def composed(root: str, *overrides: str) -> dict[str, Any]:
    with loaded():
        return OmegaConf.to_container(compose(root, overrides=list(overrides)), resolve=False)  # type: ignore[return-value]


def schemas(schema: Any) -> set[type]:
    """A dataclass and those that stand in it."""
    return {schema}.union(*(schemas(kind) for kind in typing.get_type_hints(schema).values() if is_dataclass(kind)))


def test_every_yaml_is_looked_at():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(ROOTS)
    groups = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert groups == {*SECTIONS, *WHOLE, *OTHERS}


@pytest.mark.parametrize("root", ROOTS)
def test_every_key_has_a_value_and_every_value_a_key(root):
    found, wanted = keys_of(composed(root), ROOTS[root])
    assert found == wanted


@pytest.mark.parametrize(("group", "option"), [(group, name) for group in SECTIONS for name in option_names(group)])
def test_every_option_of_a_section_has_all_its_keys(group, option):
    found, wanted = keys_of(values(f"{group}/{option}"), SECTIONS[group])
    assert found == wanted


@pytest.mark.parametrize("group", WHOLE)
def test_no_option_adds_a_key(group):
    for option in option_names(group):
        found, wanted = keys_of(composed(WHOLE[group], f"{group}={option}"), RunConfig)
        assert found == wanted, option


@pytest.mark.parametrize("name", planner_names())
def test_losses_of_a_planner_have_their_values_in_its_yaml(name):
    kind = planner_class(name).loss_weights
    assert set(values(f"planner/{name}")["losses"]) == {field.name for field in fields(kind)}


@pytest.mark.parametrize("name", STAGES)
def test_options_of_a_stage_have_their_values_in_its_yaml(name):
    wanted = set(inspect.signature(STAGES[name]).parameters) - {"channels", "grid"} | {"name"}
    shared = set(values("fusion/base/window"))
    assert set(values(f"fusion/{name}")) == wanted | (shared if name != "none" else set())


def test_no_schema_has_a_value():
    kinds = {planner_class(name).loss_weights for name in planner_names()} | {ModelConfig}
    for kind in kinds.union(*(schemas(root) for root in ROOTS.values())):
        valued = [f.name for f in fields(kind) if (f.default, f.default_factory) != (MISSING, MISSING)]
        assert valued == [], kind.__name__


def test_a_key_without_a_value_is_named():
    content = composed("train", "run_dir=unset")
    del content["trainer"]["batch_size"]
    with pytest.raises(UserError, match=r"config key 'trainer\.batch_size' has no value"):
        typed(OmegaConf.create(content))


def test_searches_name_keys_that_exist():
    known = keys_of(composed("train"), RunConfig)[1]
    for name in option_names("search"):
        assert set(read_space(name).keys) <= known


def test_what_older_files_lack_are_keys_that_exist():
    found, wanted = keys_of(values("older/keys"), RunConfig)
    assert found <= wanted


def test_controls_are_variants():
    assert set(configs.CONTROLS) == {*CONTROLS, "single_frame_wide"}
    for name in configs.CONTROLS:
        assert composed("train", f"variant={name}")["fusion"] == {**values("fusion/convgru"), "control": name}


def test_a_checkpoint_of_the_first_layout_is_read():
    """With what the absence of younger keys meant."""
    today = sizes("wote_tiny").to_dict()
    oldest = {key: value for key, value in today.items() if key not in values("older/keys")["model"]}
    anchors = np.zeros((today["num_anchors"], today["num_poses"], 3))
    module = LitPlanner(oldest, {"name": "none"}, anchors=anchors)
    before = {key: value for key, value in values("older/keys")["model"].items() if key in today}
    assert module.model.config == ModelConfig(**{**today, **before})
    assert module.weights.map == values("older/keys")["losses"]["map"]
    with pytest.raises(TypeError, match="image_height"):
        LitPlanner({k: v for k, v in oldest.items() if k != "image_height"}, {"name": "none"}, anchors=anchors)


# Functions and classes that keep a value of their own for a name that a configuration has, too, and why.
KEPT = {
    "FeatureSpec": "the published inputs; a run's are its model's",
    "TargetSpec": "the published targets; a run's are its model's",
    "trajectory_target": "the published targets",
    "TemporalFusion": "where a stage sits that is built without build_fusion",
    "NavsimDataModule": "missing sensor files are an error unless a run says otherwise",
    "WoTEAgent": "the devkit builds it from its own configuration",
    "evaluate_scenes": "the metric of the leaderboard",
    "object_response": "its steps are those of an optimisation, not of a measurement",
    "StepClock": "its warm-up is not that of an estimate",
    "WindowNeeds": "of a planner that wants nothing special",
}


def valued_parameters(path: Path) -> list[tuple[str, str]]:
    """(function or class, parameter or field) of a file, for defaults that are values: a number but 0 and 1, a text."""
    found = []
    tree = ast.parse(path.read_text())
    owner = {method: kind.name for kind in ast.walk(tree) if isinstance(kind, ast.ClassDef) for method in kind.body}
    for node in ast.walk(tree):
        given: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.FunctionDef):
            positional = [*node.args.posonlyargs, *node.args.args]
            given += [(arg.arg, value) for arg, value in zip(positional[::-1], node.args.defaults[::-1], strict=False)]
            given += [(arg.arg, value) for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
        if isinstance(node, ast.ClassDef):
            given += [(item.target.id, item.value) for item in node.body
                      if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]  # fmt: skip
        name = owner.get(node, getattr(node, "name", "")) if isinstance(node, ast.stmt) else ""
        for key, value in given:
            constant = [item.value for item in ast.walk(value) if isinstance(item, ast.Constant)] if value else []
            if constant and not any(item in (None, True, False, 0, 1, "") for item in constant):
                found.append((name, key))
    return found


def test_no_code_repeats_a_default():
    names = {key.split(".")[-1] for root, schema in ROOTS.items() for key in keys_of(composed(root), schema)[1]}
    names |= {key for name in option_names("fusion") for key in values(f"fusion/{name}")}
    names -= {"name", "root", "split"}  # of many things
    source = FOLDER.parent / "src" / "wotempo"
    repeated = [
        f"{path.relative_to(source)}: {owner}({key})"
        for path in sorted(source.rglob("*.py"))
        for owner, key in valued_parameters(path)
        if key in names and owner not in KEPT
    ]
    assert repeated == []


def test_limits_of_criteria_and_their_constructors_agree():
    """They stand in both, and may not drift: the yaml so that a limit can be set and is on record in config.yaml."""
    for name, options in values("acceptance/one_epoch").items():
        parameters = inspect.signature(get_class(options["_target_"])).parameters
        for key in set(options) - {"_target_"}:
            default = parameters[key].default
            default = list(default) if isinstance(default, tuple) else default  # yaml has lists only
            assert options[key] == default, f"{name}.{key}"


@pytest.mark.parametrize("option", sorted(set(option_names("acceptance")) - {"one_epoch"}))
def test_stricter_yamls_repeat_nothing(option):
    own = OmegaConf.to_container(OmegaConf.load(FOLDER / "acceptance" / f"{option}.yaml"))
    (base,) = own.pop("defaults")
    inherited = values(f"acceptance/{base}")
    repeated = [
        f"{n}.{k}" for n, options in own.items() for k, v in options.items() if {k: v}.items() <= inherited[n].items()
    ]
    assert repeated == []
