"""The table of commands: their names in groups, and the module of each, which is never imported to be listed."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

GROUPS: dict[str, tuple[str, ...]] = {
    "train and judge": ("train", "resume", "search"),
    "data and labels": ("doctor", "plan-data", "prepare", "labels", "label-file"),
    "evaluate and look": (
        "evaluate",
        "drive",
        "report",
        "compare",
        "leaderboard",
        "replay",
        "devkit-scores",
    ),
    "machines": ("estimate", "slurm"),
    "wandb": ("wandb-sync", "wandb-dashboard"),
    "official weights": ("weights",),
}
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
NAMES = {name.replace("-", "_"): name for name in COMMANDS}  # by the module's
HELP = ("--help", "-h")
FOLDER = Path(__file__).parents[1] / "commands"


def show(text: str) -> None:
    """Print a help, of which the reader, such as ``head``, may take a part only."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def module_of(name: str) -> str:
    return f"wotempo.commands.{name.replace('-', '_')}"


def sentence(name: str) -> str:
    """What a command does: the first sentence of its module, read from the source."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name.replace('-', '_')}.py").read_text())) or ""
    return " ".join(re.split(r"\.(?:\s|$)", text, maxsplit=1)[0].split())


def overview() -> str:
    """All commands, one line each."""
    width = max(map(len, COMMANDS))
    lines = ["wotempo <command> key=value …", "wotempo <command> --help shows the keys of a command"]
    for group, names in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:{width}}  {sentence(name)}" for name in names)]
    return "\n".join(lines)
