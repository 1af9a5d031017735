"""Make everything that a run needs before its first step: index of logs, anchors, labels, caches.

Takes every key of the run; needs no GPU. What is there is used again, and several runs may share it. Started again
after an interruption it goes on.
"""

from __future__ import annotations

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.preparation.prepare import Prepared, prepare_data
from wotempo.runs.preemption import StopSignal


def summary(prepared: Prepared) -> str:
    """What there is now, one line each."""
    lines = [
        f"{split}: {len(members)} scenes of {len({id(scene.log) for scene in members})} logs"
        for split, members in prepared.scenes.items()
    ]
    if prepared.labels is not None:
        lines.append(f"labels: {prepared.labels}")
    return "\n".join([*lines, "everything is here: training starts with its first step"])


def work(raw: DictConfig) -> int:
    config, stop_signal = check_config(raw), StopSignal()
    with stop_signal.listening():  # SIGUSR1 and SIGUSR2 end it at once; the scheduler starts it again
        prepared, _ = prepare_data(config)
    print(summary(prepared), flush=True)
    return 0


if __name__ == "__main__":
    run("prepare", RunConfig, check_config, work)
