"""Train, judge, report: one command, one verdict, one exit code.

python -m wotempo.commands.train experiment=convgru_1epoch [key=value ...]
"""

from __future__ import annotations

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.experiment.run import work

if __name__ == "__main__":
    run("train", check_config, work)
