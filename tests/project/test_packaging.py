"""Lists that rot unless a test compares them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~\[;@ ]", requirement.strip())[0].lower().replace("_", "-")


def test_every_folder_with_an_init_is_packaged():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {"wotempo.configs", "callbacks", "wotempo"}
    for init in (ROOT / "src" / "wotempo").rglob("__init__.py"):
        found.add(".".join(init.parent.relative_to(ROOT / "src").parts))
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


@pytest.mark.parametrize(
    "target",
    [
        "help",
        "setup",
        "doctor",
        "estimate",
        "train-convgru-1epoch",
        "train-convgru-5epoch",
        "train-convgru-20epoch",
        "compare",
        "train-baseline",
        "overfit-batch",
        "ablation-fusion",
        "slurm-convgru-1epoch",
        "slurm-baseline",
        "slurm-ablation-fusion",
        "evaluate",
        "wandb-sync",
        "wandb-dashboard",
        "nuplan",
        "test",
        "check",
        "clean",
    ],
)
def test_makefile_has_the_target_and_help_shows_it(target):
    shown = subprocess.run(["make", "-s", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^  {target}\s+\S", shown, re.M)


def test_no_machine_path_in_the_project():
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    suspicious = re.compile(r"(/home/|/root/|/work/|file:///)")
    for name in listing.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".sh", ""} and path.is_file():
            text = path.read_text(errors="ignore")
            if path.name != "test_packaging.py":
                assert not suspicious.search(text), name
