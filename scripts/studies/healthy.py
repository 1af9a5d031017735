"""Healthy runs of unusual kinds under all criteria, on the micro town: how many are rejected although nothing is wrong.

python -m scripts.studies.healthy [folder] [kind ...]: two seeds of each kind; a table, and exit 1 where one is
rejected.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_module

from wotempo.experiment.run import work

SEEDS = (0, 1)
MICRO = (
    "data.preset=micro", "model.image_height=64", "model.image_width=256", "model.num_anchors=16", "data.extra_drives=50",
    "model.map_shape=[64,128]", "model.map_feature_shape=[32,32]", "model.stage_channels=[16,16,32,32]", "model.d_model=32",
    "model.encoder_layers=1", "model.decoder_layers=1", "model.gpt_layers=1", "trainer.batch_size=2",
    "trainer.run_length=2", "trainer.max_epochs=4", "trainer.progress_bar=false", "tracking=off",
)  # fmt: skip
# What a run of seconds declares: its plan must be better than standing still at most, and few scenes are validated.
SHORT = ("acceptance.plan.rivals=[]", "acceptance.learning.allow_inconclusive=true",
         "acceptance.sensors.allow_inconclusive=true")  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of healthy run: what it sets, and what of the criteria it declares."""

    name: str
    keys: tuple[str, ...]
    declares: tuple[str, ...] = ()


TEMPORAL, SINGLE = ("experiment=convgru_1epoch",), ("experiment=baseline_1epoch",)
FEW = ("acceptance.warp_gain.allow_inconclusive=true", "acceptance.ego_motion.allow_inconclusive=true")
SLOW = ("acceptance.loss.min_drop=0.0", "acceptance.loss.allow_inconclusive=true", "acceptance.learning.min_drop=0.0",
        "acceptance.learning.min_change=0.0")  # fmt: skip
KINDS = [
    Kind("as it is", TEMPORAL),
    Kind("single frame", SINGLE),
    Kind("batch of one", (*TEMPORAL, "trainer.batch_size=1", "trainer.run_length=1")),
    Kind("batch of one, single frame", (*SINGLE, "trainer.batch_size=1", "trainer.run_length=1")),
    Kind("batch of eight", (*TEMPORAL, "trainer.batch_size=8", "trainer.max_epochs=12")),
    Kind("two frames", (*TEMPORAL, "fusion.num_frames=2"), FEW),
    Kind("eight frames", (*TEMPORAL, "fusion.num_frames=8"), ("acceptance.history.min_valid=0.3",)),
    Kind("stride of two", (*TEMPORAL, "fusion.num_frames=2", "fusion.frame_stride=2"), FEW),
    Kind("bf16", (*TEMPORAL, "trainer.precision=bf16-mixed")),
    Kind("bf16, single frame", (*SINGLE, "trainer.precision=bf16-mixed")),
    Kind("low rate", (*TEMPORAL, "optimiser.lr=1e-5"), SLOW),
    Kind("very low rate, single frame", (*SINGLE, "optimiser.lr=1e-6"), SLOW),
    Kind("rate of the stage 0, declared", (*TEMPORAL, "optimiser.fusion_multiplier=0.0")),
    Kind("image encoder at rate 0, declared", (*SINGLE, "optimiser.image_encoder_multiplier=0.0")),
    Kind("history dropout", (*TEMPORAL, "fusion.frame_dropout=0.5")),
    Kind("history dropout, batch of one, two frames",
         (*TEMPORAL, "fusion.frame_dropout=0.5", "fusion.num_frames=2", "trainer.batch_size=1", "trainer.run_length=1"), FEW),
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
    Kind("TransFuser", (*SINGLE, "planner=transfuser")),
    Kind("TransFuser, four frames", (*TEMPORAL, "planner=transfuser")),
    Kind("dropout", (*TEMPORAL, "model.dropout=0.2")),
]  # fmt: skip


def judged(kind: Kind, seed: int, folder: Path) -> dict[str, str]:
    """Status of the run, and of each criterion that was not passed."""
    run_dir = folder / f"{kind.name.replace(' ', '_').replace(',', '')}-{seed}"
    words = [*kind.keys, *MICRO, *SHORT, *kind.declares, *kind.keys[1:]]
    overrides = [f"run_dir={run_dir}", f"workspace={folder / 'workspace'}", f"seed={seed}", *words]
    with initialize_config_module("wotempo.configs", version_base="1.3"):
        config = compose("train", overrides=overrides)
    work(config)
    verdict = json.loads((run_dir / "verdict.json").read_text())
    open_or_failed = {c["name"]: c["message"] for c in verdict["criteria"] if c["status"] in ("fail", "inconclusive")}
    return {"status": verdict["status"], **open_or_failed}


def main(words: list[str]) -> int:
    folder = Path(words[0] if words else "runs/healthy")
    chosen = [kind for kind in KINDS if not words[1:] or kind.name in words[1:]]
    rejected = 0
    for kind in chosen:
        for seed in SEEDS:
            found = judged(kind, seed, folder)
            rejected += found["status"] != "accepted"
            rest = "; ".join(f"{name}: {text}" for name, text in found.items() if name != "status")
            print(f"| {kind.name} | {seed} | {found['status']} | {rest} |", flush=True)
    print(f"{rejected} of {len(chosen) * len(SEEDS)} healthy runs were not accepted")
    return int(rejected > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
