"""The bound of the twin scenes of a dataset: what planners can reach without history, with it, and the headroom.

    make study NAME=twins_bound ARGS="data.preset=twins"

The keys are those of a training, whose anchors it would choose from; nothing is trained. What is measured stands in
wotempo.evaluation.twins.bound.
"""

from __future__ import annotations

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.evaluation.twins.bound_study import work

if __name__ == "__main__":
    run("train", RunConfig, check_config, work)
