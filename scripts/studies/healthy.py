"""Healthy runs of unusual kinds under all criteria, on the micro town: how many are rejected although nothing is wrong.

make study NAME=healthy                                # all kinds, two seeds each: some 25 minutes of one core
make study NAME=healthy ARGS="'two frames' bf16"       # these
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wotempo.command_line.entry import command, quieten
from wotempo.config.composition import compose_checked, loaded
from wotempo.errors import UserError
from wotempo.experiment.run import work

SEEDS = (0, 1)
RUNS = Path("runs/healthy")
COMMON = ("trainer.progress_bar=false", "tracking=off")


@dataclass(frozen=True)
class Kind:
    """A kind of healthy run: what it sets, and what of the criteria it declares."""

    name: str
    keys: tuple[str, ...]
    declares: tuple[str, ...] = ()


EPOCHS = ("profile=micro", "trainer.max_epochs=4")
TEMPORAL, SINGLE = ("experiment=convgru_1epoch", *EPOCHS), ("experiment=baseline_1epoch", *EPOCHS)
ALONE = ("trainer.batch_size=1", "trainer.run_length=1")
FEW = ("acceptance.warp_gain.allow_inconclusive=true", "acceptance.ego_motion.allow_inconclusive=true")
SLOW = ("acceptance.loss.min_drop=0.0", "acceptance.loss.allow_inconclusive=true", "acceptance.learning.min_drop=0.0")
NOISY = ("acceptance.loss.allow_inconclusive=true",)
KINDS = [
    Kind("as it is", TEMPORAL),
    Kind("single frame", SINGLE),
    Kind("batch of one", (*TEMPORAL, *ALONE)),
    Kind("batch of one, single frame", (*SINGLE, *ALONE)),
    Kind("batch of eight", (*TEMPORAL, "trainer.batch_size=8", "trainer.max_epochs=12")),
    Kind("two frames", (*TEMPORAL, "fusion.num_frames=2"), FEW),
    Kind("eight frames", (*TEMPORAL, "fusion.num_frames=8"), ("acceptance.history.min_valid=0.3",)),
    Kind("stride of two", (*TEMPORAL, "fusion.num_frames=2", "fusion.frame_stride=2"), FEW),
    Kind("bf16", (*TEMPORAL, "trainer.precision=bf16-mixed")),
    Kind("bf16, single frame", (*SINGLE, "trainer.precision=bf16-mixed")),
    Kind("low rate", (*TEMPORAL, "optimiser.lr=1e-5"), SLOW),
    Kind("very low rate, single frame", (*SINGLE, "optimiser.lr=1e-6"),
         (*SLOW, "acceptance.learning.min_change=0.0", "acceptance.loss.policy=warn")),
    # A stage that begins as the identity, and stays it, passes no gradient to the history.
    Kind("rate of the stage 0, declared", (*TEMPORAL, "optimiser.fusion_multiplier=0.0"),
         ("acceptance.gradient_flow.policy=off",)),
    Kind("image encoder at rate 0, declared", (*SINGLE, "optimiser.image_encoder_multiplier=0.0")),
    Kind("history dropout", (*TEMPORAL, "fusion.frame_dropout=0.5")),
    Kind("history dropout, batch of one, two frames",
         (*TEMPORAL, "fusion.frame_dropout=0.5", "fusion.num_frames=2", *ALONE), FEW),
    Kind("tiny validation", (*TEMPORAL, "data.val.max_scenes=2")),
    Kind("one batch of validation", (*TEMPORAL, "trainer.limit_val_batches=1")),
    Kind("accumulation", (*TEMPORAL, "trainer.accumulate_grad_batches=4", "trainer.max_epochs=12")),
    Kind("no clipping", (*TEMPORAL, "trainer.gradient_clip_val=null")),
    Kind("average of weights", (*TEMPORAL, "trainer.ema=0.9")),
    Kind("no reward by simulation", (*SINGLE, "losses.sim_reward=0.0")),
    Kind("no map", (*SINGLE, "losses.map=0.0", "losses.fut_map=0.0")),
    Kind("weight decay", (*TEMPORAL, "optimiser.weight_decay=0.5")),
    Kind("agents", (*SINGLE, "model.agent_head=true", "losses.agent_cls=1.0", "losses.agent_box=1.0")),
    Kind("mean of frames", (*TEMPORAL, "fusion=mean")),
    Kind("attention", (*TEMPORAL, "fusion=attention")),
    Kind("TransFuser", (*SINGLE, "planner=transfuser"), NOISY),
    Kind("TransFuser, four frames", (*TEMPORAL, "planner=transfuser"), NOISY),
    Kind("full size, three steps", ("experiment=convgru_1epoch", "model=wote", "profile=smoke", "data.preset=micro")),
    Kind("dropout", (*TEMPORAL, "model.dropout=0.2")),
]  # fmt: skip


NAMES = [kind.name for kind in KINDS]


def judged(kind: Kind, seed: int) -> dict[str, Any]:
    """The verdict."""
    run_dir = RUNS / f"{kind.name.replace(' ', '_').replace(',', '')}-{seed}"
    words = [*COMMON, *kind.keys, *kind.declares]
    with loaded():
        config = compose_checked("train", [f"run_dir='{run_dir}'", f"seed={seed}", "fresh=true", *words])
    work(config)
    return json.loads((run_dir / "verdict.json").read_text())


@command("[kind] …")
def main(arguments: list[str]) -> int:
    """-> 1 where a run is not accepted."""
    quieten()
    if unknown := [name for name in arguments if name not in NAMES]:
        raise UserError(f"there is no kind '{unknown[0]}'; kinds are: {'; '.join(NAMES)}")
    chosen = [kind for kind in KINDS if not arguments or kind.name in arguments]
    print("| kind | seed | verdict | open |", "|---|---|---|---|", sep="\n", flush=True)
    rejected = 0
    for kind in chosen:
        for seed in SEEDS:
            verdict = judged(kind, seed)
            accepted = verdict["status"] == "accepted"
            rejected += not accepted
            outcome = "accepted" if accepted else f"not accepted: {verdict['reason']}"
            left = [c for c in verdict["criteria"] if c["status"] in ("fail", "inconclusive")]
            rest = "; ".join(f"{c['name']}: {c['message']}" for c in left)
            print(f"| {kind.name} | {seed} | {outcome} | {rest} |", flush=True)
    print(f"\n{rejected} of {len(chosen) * len(SEEDS)} healthy runs were not accepted")
    return int(rejected > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
