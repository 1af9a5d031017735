"""Completion of a command line in the shell, by Hydra's own mechanism.

Hydra completes the keys, groups and values of one configuration. Here the second word names the command, hence the
configuration: it is taken out of the line before Hydra sees it, and is completed from the table of commands.
"""

from __future__ import annotations

import os
import sys

import hydra

from wotempo.command_line.table import COMMANDS

# The configuration of each command that takes keys: its own, or that of the runs it starts. The others take folders
# of runs, which the shell completes.
TRAINING = {"search": "train", "slurm": "train"}
OF_FOLDERS = ("resume", "report", "compare", "leaderboard", "devkit-scores", "wandb-sync", "wandb-dashboard")
CONFIGS = {name: TRAINING.get(name, name.replace("-", "_")) for name in COMMANDS if name not in OF_FOLDERS}
LINE = "COMP_LINE"  # by which shells hand over what was typed so far


def complete(words: list[str]) -> None:
    """Print the shell's code (install=…, uninstall=…) or the completions of the line in the environment (query=…)."""
    config = "train"  # the shell's code is the same for all
    if any(word.startswith("query=") for word in words):
        program, *typed = os.environ[LINE].split()
        ended = os.environ[LINE][-1:].isspace()
        if len(typed) + ended < 2:  # the command itself is being typed
            print(" ".join(COMMANDS))
            return
        if typed[0] not in CONFIGS:
            return
        os.environ[LINE] = " ".join([program, *typed[1:]]) + " " * ended
        config = CONFIGS[typed[0]]
    if sys.argv[0].endswith(".py"):  # python -m wotempo: Hydra would install it for every Python program
        sys.argv[0] = "wotempo"
    sys.argv[1:] = [word for word in words if word not in COMMANDS]

    @hydra.main(version_base="1.3", config_path="pkg://wotempo.configs", config_name=config)
    def nothing(_: object) -> None:
        pass

    nothing()
