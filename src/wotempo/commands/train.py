"""Train a planner and judge the run by named criteria: one verdict, one exit code.

wotempo train experiment=convgru_1epoch data=town trainer.max_epochs=2
"""

from __future__ import annotations

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.experiment.run import work

if __name__ == "__main__":
    run("train", RunConfig, check_config, work)
