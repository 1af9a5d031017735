"""Lists that rot unless a test compares them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from wotempo.command_line.table import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~\[;@ ]", requirement.strip())[0].lower().replace("_", "-")


def test_every_folder_with_an_init_is_packaged():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {"wotempo.configs"}
    for package in (ROOT / "src" / "wotempo", ROOT / "callbacks"):
        for init in package.rglob("__init__.py"):
            found.add(".".join(init.parent.relative_to(package.parent).parts))
    assert listed == found


def test_environment_yml_installs_this_project_and_names_the_devkit():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python"))
    assert python.split("=")[1] in ("3.11",)
    assert PROJECT["project"]["requires-python"].startswith(">=3.11")
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["--constraint constraints.txt", "-e .[dev]"]
    text = (ROOT / "environment.yml").read_text()
    tag = re.search(r"nuplan-devkit@(\S+?)[\"\s]", text).group(1)
    assert f"nuplan-devkit@{tag}" in (ROOT / "Makefile").read_text()


def test_the_packages_that_the_user_fixed_are_dependencies():
    names = {name_of(r) for r in PROJECT["project"]["dependencies"]}
    assert {"lightning", "torch", "torchmetrics", "hydra-core", "wandb"} <= names
    assert "nuplan" in PROJECT["project"]["optional-dependencies"]


def test_constraints_pin_every_dependency_inside_its_range():
    from packaging.requirements import Requirement
    from packaging.version import Version

    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and line[0] != "#"
    )
    extras = PROJECT["project"]["optional-dependencies"]
    for text in PROJECT["project"]["dependencies"] + extras["dev"]:
        requirement = Requirement(text)
        assert requirement.name in pins, f"{requirement.name} has no tried version"
        assert Version(pins[requirement.name].strip()) in requirement.specifier


@pytest.mark.parametrize("stray", ["trainer.max_epochs=5", "fusion=none"])
def test_a_configuration_key_given_to_make_is_refused(stray):
    done = subprocess.run(["make", "-C", str(ROOT), "help", stray], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f'ARGS="{stray}"' in done.stderr


TARGETS = (
    "help", "setup", "doctor", "plan-data", "estimate", "train-convgru-1epoch", "train-baseline",
    "train-convgru-5epoch", "train-convgru-20epoch", "overfit-batch", "resume", "compare", "report", "leaderboard",
    "evaluate", "drive", "replay", "labels", "ablation-fusion", "search", "slurm-convgru-1epoch", "slurm-baseline",
    "slurm-ablation-fusion", "wandb-sync", "convert", "bench", "study", "test", "check", "clean",
)  # fmt: skip
GIVEN = {
    "report": ["RUN=runs/x"],
    "evaluate": ["CKPT=x.ckpt"],
    "drive": ["CKPT=x.ckpt"],
    "replay": ["RUN=runs/x"],
    "convert": ["WHAT=weights"],
    "bench": ["WHAT=wote"],
    "study": ["NAME=velocity", "RUN=runs/x"],
}
RUNS_NO_PYTHON = {"help", "setup", "clean"}


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Without what `setup` would install: its stamp counts as new."""
    fresh = ("-o", ".venv/.wotempo-setup", "VENV=.venv")
    return subprocess.run(["make", "-s", "-C", str(ROOT), *fresh, *words], capture_output=True, text=True, check=False)


def test_the_makefile_has_these_targets_and_help_shows_each():
    assert len(TARGETS) <= 30
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    assert sorted(re.search(r"^\.PHONY: (.*)$", text, re.M).group(1).split()) == sorted(TARGETS)
    shown = [line.split()[0] for line in make("help").stdout.splitlines()]
    assert sorted(shown) == sorted(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_target_runs_exists(target):
    done = make("-n", target, *GIVEN.get(target, []))
    assert done.returncode == 0, done.stderr
    found = re.findall(r"\.venv/bin/python (?:-m (\S+)(?: ([\w-]+))?|(\S+\.py))", done.stdout)
    assert bool(found) is (target not in RUNS_NO_PYTHON)
    for module, word, script in found:
        if script:
            assert (ROOT / script).is_file()
        elif module == "wotempo":
            assert word in COMMANDS
        elif module.startswith("scripts."):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        else:
            assert module in ("pytest", "ruff", "mypy")


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["bench"], "commands guards pdm real_drives scale streaming temporal wote"),
        (["bench", "WHAT=wot"], "commands guards pdm real_drives scale streaming temporal wote (there is no 'wot')"),
        (
            ["study", "NAME=probe"],
            "fuzz headroom healthy layout stages twin_picture twins_bound velocity (there is no 'probe')",
        ),
        (["convert", "WHAT=label"], "weights labels (there is no 'label')"),
    ],
)
def test_an_unknown_choice_is_one_sentence_with_the_known_ones(words, known):
    done = make(*words)
    assert done.returncode == 2
    assert done.stdout.startswith("say which ")
    assert done.stdout.endswith(f"one of: {known}\n")


def test_the_console_script_is_the_dispatcher():
    from wotempo.command_line import dispatch

    module, _, name = PROJECT["project"]["scripts"]["wotempo"].partition(":")
    assert (module, getattr(dispatch, name)) == (dispatch.__name__, dispatch.main)


def test_no_machine_path_in_the_project():
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    suspicious = re.compile(r"(/home/|/root/|/work/|file:///)")
    for name in listing.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".sh", ""} and path.is_file():
            text = path.read_text(errors="ignore")
            if path.name != "test_packaging.py":
                assert not suspicious.search(text), name
