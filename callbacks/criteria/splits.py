"""``splits``: no scene and no log belongs to two splits, and each split is what its batches bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy
from callbacks.base.protocol import evidence_of, tokens_of

EVERY = 50
"""Batches after which all ranks hear of one that saw foreign scenes."""


@dataclass(eq=False)
class SplitsGuard(Guard):
    """Before the first step: the scenes of a split are all different, and no two splits share a scene or a log (what is
    validated must not have been trained on; neighbouring scenes of one log are nearly the same). While it lasts: each
    batch holds scenes of its own split, and a whole validation shows all of them.

    It compares names. The same drive under two names is not seen.

    Args:
        shared: pairs of splits that may overlap, as ``train-val``: an overlap that an experiment asks for.
    """

    name = "splits"
    number = 14
    exit_code = 23
    unit = "scenes and logs in two places"
    sense = "≤"
    hint = "Give each split logs of its own; an overlap that is meant is declared in acceptance.splits.shared."

    shared: Sequence[str] = ()
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = 0
        self.memory = {"facts": {}}
        self._tokens: dict[str, frozenset[str]] = {}
        self._seen: set[str] = set()
        self._strange: list[str] = []  # scenes of training batches that are not of that split

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self.status == "pending" and evidence_of(trainer, "splits") is None:
            self.record("skipped", "the data does not say which scenes its splits have (`evidence.splits`)")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        splits: Mapping[str, Mapping[str, Sequence[str]]] = evidence_of(trainer, "splits")()
        self._tokens = {name: frozenset(of["tokens"]) for name, of in splits.items() if "tokens" in of}
        faults, facts = [], {"scenes": {}, "logs": {name: len(of["logs"]) for name, of in splits.items()}}
        found = 0
        for name, tokens in ((name, of["tokens"]) for name, of in splits.items() if "tokens" in of):
            facts["scenes"][name] = len(tokens)
            if twice := [token for token, times in Counter(tokens).items() if times > 1]:
                found += len(twice)
                faults.append(f"{len(twice)} scenes stand in {name} more than once, first {twice[0]}")
        for a, b in combinations(splits, 2):
            if {f"{a}-{b}", f"{b}-{a}"} & set(self.shared):
                continue
            for kind, word in (("tokens", "scenes"), ("logs", "logs")):
                if both := sorted({*splits[a].get(kind, ())} & {*splits[b].get(kind, ())}):
                    found += len(both)
                    faults.append(f"{a} and {b} share {len(both)} {word}, first {both[0]}")
                    break
        self.memory["facts"] = facts
        self.stop_if(trainer, bool(faults), "; ".join(faults), found, **facts)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        known = self._tokens.get("train")
        if known is not None:
            self._strange += [token for token in tokens_of(batch) if token not in known]
        if trainer.world_size == 1 or batch_idx % EVERY == 0:  # asking the other ranks costs them a wait
            self.stop_if(trainer, bool(self._strange), _sentence("train", self._strange), len(self._strange),
                         tokens=self._strange[:20])  # fmt: skip

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen = set()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._seen.update(tokens_of(batch))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or "val" not in self._tokens:
            return
        strange = sorted(self._seen - self._tokens["val"])
        self.stop_if(trainer, bool(strange), _sentence("val", strange), len(strange), tokens=strange[:20])
        # A limit on batches, and several ranks, leave scenes out on purpose.
        batches = trainer.num_val_batches
        whole = trainer.world_size == 1 and batches == [len(loader) for loader in _listed(trainer.val_dataloaders)]
        left_out = sorted(self._tokens["val"] - self._seen) if whole else []
        text = f"{len(left_out)} of {len(self._tokens['val'])} scenes of val were not validated, first {left_out[:1]}"
        self.stop_if(trainer, bool(left_out), text, len(left_out), tokens=left_out[:20])

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.stop_if(trainer, bool(self._strange), _sentence("train", self._strange), len(self._strange))
        facts = self.memory["facts"]
        if not facts:
            self.record("inconclusive", "the run never reached its first step")
            return
        counts = ", ".join(f"{count} of {name}" for name, count in facts["scenes"].items())
        meant = f"; allowed to overlap: {', '.join(self.shared)}" if self.shared else ""
        logs = ", ".join(f"{count} of {name}" for name, count in facts["logs"].items())
        self.record("pass", f"scenes ({counts}) and logs ({logs}) are each in one split only{meant}", 0, **facts)


def _sentence(split: str, strange: Sequence[str]) -> str:
    return f"{len(strange)} scenes of a batch do not belong to {split}, first {strange[:1]}"


def _listed(loaders: Any) -> list[Any]:
    return list(loaders) if isinstance(loaders, list | tuple) else [loaders]
