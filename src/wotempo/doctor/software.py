"""Versions: what is installed against the ranges that the project declares."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from wotempo.doctor.finding import Finding

SHOWN = ("torch", "lightning", "torchmetrics", "hydra-core", "wandb")
INSTALL = "make setup (pip install -e .) installs versions that were tried"


def declared() -> tuple[str, list[str]]:
    """(range of python, requirements without extras) from the metadata of the installed project."""
    try:
        return metadata("wotempo")["Requires-Python"], [r for r in requires("wotempo") or () if "extra ==" not in r]
    except PackageNotFoundError:
        return "", []


def check_python(wanted: str, running: str = platform.python_version()) -> Finding:
    if not wanted:
        return Finding("python", "fail", f"{running}; the project itself is not installed", INSTALL)
    if running not in SpecifierSet(wanted):
        return Finding(
            "python",
            "fail",
            f"{running}, not {wanted}",
            "remove .venv, then make setup: it takes python3.11 or python3.12",
        )
    return Finding("python", "ok", running)


def check_packages(requirements: Sequence[str], version_of: Callable[[str], str] = version) -> Finding:
    """Every requirement is judged; the named few are shown."""
    wrong, shown = [], []
    for text in requirements:
        wanted = Requirement(text)
        try:
            here = version_of(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is not installed, wanted {wanted.specifier}")
            continue
        if not wanted.specifier.contains(here, prereleases=True):
            wrong.append(f"{wanted.name} {here} is not {wanted.specifier}")
        elif wanted.name in SHOWN:
            shown.append(f"{wanted.name} {here}")
    if wrong:
        return Finding("packages", "fail", "; ".join(wrong), INSTALL)
    return Finding("packages", "ok", ", ".join(shown))
