"""Make everything that a run needs before its first step: index of logs, anchors, labels, caches.

Takes every key of the run; needs no GPU. What is there is used again, and several runs may share it. Started again
after an interruption it goes on.

wotempo prepare --multirun cluster=slurm shards=8 data=navsim        # docs/slurm.md
"""

from __future__ import annotations

from omegaconf import DictConfig

from wotempo.command_line.entry import run
from wotempo.config.checks import check_config
from wotempo.navsim.share import ALL, Share
from wotempo.preparation.prepare import Prepared, prepare_data
from wotempo.preparation.shards import PrepareConfig, prepare_share
from wotempo.runs.preemption import StopSignal


def check(raw: DictConfig) -> PrepareConfig:
    config = check_config(raw, PrepareConfig)
    assert isinstance(config, PrepareConfig)
    Share.asked(config.shard, config.shards)
    return config


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
    config, stop_signal = check(raw), StopSignal()
    share = Share.asked(config.shard, config.shards)
    with stop_signal.listening():  # SIGUSR1 and SIGUSR2 end it at once; the scheduler starts it again
        prepared = prepare_data(config)[0] if share == ALL else prepare_share(config, share)
    left = (
        f"shard {share.shard} of {share.shards} is made; the last one to finish, or the next start, looks at the whole"
    )
    print(left if prepared is None else summary(prepared), flush=True)
    return 0


if __name__ == "__main__":
    # By its name: what belongs to __main__ cannot travel to the machines of a cluster.
    from wotempo.commands import prepare

    run("prepare", prepare.PrepareConfig, prepare.check, prepare.work)
