"""``learning``: the weights that were saved do better than those of the start, in every part of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from callbacks.base.guard import Guard, Policy
from callbacks.base.protocol import evidence_of
from callbacks.base.saved import newest_checkpoint
from callbacks.measures.movement import batch_statistics, declared, groups_of, moved, sketch


@dataclass(eq=False)
class LearningGuard(Guard):
    """The loss that a run logs may fall though nothing is learnt (factors of the loss that decay, one term that
    outweighs the rest), and what is saved may not be what learnt (an average that is never updated). So:

    - before the first step every trainable parameter belongs to an optimiser, and every other one to a module that
      ``pl_module.frozen`` declares;
    - gradient reaches every group of parameters throughout: none in ``patience`` steps in a row ends the run. A
      group is a module right below the model;
    - at the end, on the same ``batches`` of training scenes, models rebuilt from the start's weights and from the
      newest checkpoint compute the loss terms with the start's own factors: their sum fell by ``min_drop``, each of
      them by ``min_term_drop``;
    - between start, middle and the newest checkpoint every group moved by ``min_change`` of its size at least, without
      what weight decay alone would do.

    It cannot see whether what was learnt is of use elsewhere (``plan`` looks there), nor single layers without gradient
    in a group that has some. A few entries of each tensor stand for its movement.

    Args:
        min_drop: relative, of the sum of all terms.
        min_steps: a run of fewer may have lost by chance; what it learnt is open, whether its weights moved is not.
        min_term_drop: relative, of each term. One that rose by more was not learnt; one in between is open.
        batches: on which they are measured.
        every: optimiser steps between two looks at gradients. While a group has none, every step is looked at: with
            batches of one, and a history that is dropped now and then, single steps without any are healthy.
        patience: steps in a row without any gradient in a group.
        min_change: relative, of each group, from start to end; a tenth of it in the second half.
    """

    name = "learning"
    number = 17
    exit_code = 26
    unit = "relative decrease"
    hint = "Look for a rate of zero, detach(), parameters that no optimiser holds, and an average that is not updated."

    min_drop: float = 0.01
    min_term_drop: float = 0.005
    min_steps: int = 40
    batches: int = 2
    every: int = 16
    patience: int = 32
    min_change: float = 5e-5
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.min_drop
        self.memory = {"terms": {}, "start": None, "middle": None, "middle_step": 0, "silent": {}, "looks": 0}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage != "fit" or self.status != "pending":
            return
        if evidence_of(trainer, "fixed_batches") is None:
            self.record("skipped", "the data has no batches to measure on (`evidence.fixed_batches`)")
        elif getattr(pl_module, "terms_of", None) is None or getattr(pl_module, "rebuild", None) is None:
            self.record("skipped", "the module has no `terms_of` and `rebuild`")

    # --- before the first step

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Also of a run that was interrupted behind its last step, and has none left to train."""
        frozen: Mapping[str, str] = getattr(pl_module, "frozen", {})
        trainable = {name: p for name, p in pl_module.named_parameters() if p.requires_grad}
        self._judged = {name: p for name, p in trainable.items() if not declared(name, frozen)}
        # A wrapper may write its parameters without its own name.
        keys = {id(value): key for key, value in pl_module.state_dict(keep_vars=True).items()}
        self._saved_as = {name: keys[id(p)] for name, p in self._judged.items()}
        names = list(self._judged)
        self._groups = {group: [names.index(n) for n in members] for group, members in groups_of(names).items()}
        self._members = {group: [self._judged[names[i]] for i in rows] for group, rows in self._groups.items()}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        frozen: Mapping[str, str] = getattr(pl_module, "frozen", {})
        held = {id(p) for optimiser in trainer.optimizers for group in optimiser.param_groups for p in group["params"]}
        homeless = [name for name, p in pl_module.named_parameters() if p.requires_grad and id(p) not in held]
        text = f"{len(homeless)} parameters belong to no optimiser, first {homeless[:1]}"
        self.stop_if(trainer, bool(homeless), text, None, parameters=homeless[:20])
        still = [n for n, p in pl_module.named_parameters() if not p.requires_grad and not declared(n, frozen)]
        text = f"{len(still)} parameters are frozen, and nothing declares it, first {still[:1]}"
        self.stop_if(trainer, bool(still), text, None, parameters=still[:20])
        if self.memory["start"] is None:
            self.memory["start"] = sketch(self._judged)
            self.memory["terms"] = self._measure(trainer, pl_module, _description(pl_module))

    # --- while it lasts

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        step, since = trainer.global_step, self.memory["silent"]
        due = step % self.every == 0
        if not due and not since:
            return
        sizes = []
        for members in self._members.values():
            gradients = [p.grad for p in members if p.grad is not None]
            sizes.append(
                torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros((), device=pl_module.device)
            )
        silent = [size == 0 for size in self.fetch(torch.stack([size.float() for size in sizes]))]
        self.memory["looks"] += 1
        self.memory["silent"] = {
            group: since.get(group, step) for group, nothing in zip(self._members, silent, strict=True) if nothing
        }
        if due:  # the same steps on every rank
            gone = {group: first for group, first in self.memory["silent"].items() if step - first >= self.patience}
            text = f"no gradient reaches {', '.join(gone)} since step {min(gone.values(), default=0)}"
            self.stop_if(trainer, bool(gone), text, None, groups=list(gone))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self.memory["middle"] is None and trainer.global_step >= trainer.estimated_stepping_batches / 2:
            self.memory["middle"], self.memory["middle_step"] = sketch(self._judged), trainer.global_step

    # --- at the end

    def conclude(self, trainer: Trainer, pl_module: Any) -> None:
        before: dict[str, float] = self.memory["terms"]
        saved, why = newest_checkpoint(trainer)
        if not before or saved is None:
            self.record("inconclusive", why or "the run never reached its first step")
            return
        after = self._measure(trainer, pl_module, saved)
        end = sketch({name: saved["state_dict"][self._saved_as[name]] for name in self._judged})
        change = moved(self.memory["start"], end, self._groups)
        # A run of one step, or one stopped at its middle, has no second half.
        halved = self.memory["middle"] is not None and trainer.global_step > self.memory["middle_step"]
        halves = moved(self.memory["middle"], end, self._groups) if halved else {}
        total = (sum(before.values()), sum(after.values()))
        drop = round(1 - total[1] / total[0], 4) if total[0] else 0.0
        falls = {name: round(1 - after[name] / value, 4) if value else 0.0 for name, value in before.items()}
        facts = {
            "terms_at_start": before,
            "terms_at_end": after,
            "falls": falls,
            "moved": change,
            "moved_in_the_second_half": halves,
            "gradient_looks": self.memory["looks"],
        }
        rest = max(self.every, trainer.global_step // 4)
        late = [group for group, first in self.memory["silent"].items() if trainer.global_step - first >= rest]
        unmoved = [group for group, value in change.items() if not value >= self.min_change]
        rested = [group for group, value in halves.items() if not value >= self.min_change / 10]
        rising = [name for name, fall in falls.items() if not fall >= -self.min_term_drop]
        hardly = [name for name, fall in falls.items() if not fall >= self.min_term_drop]
        sum_ = f"{total[0]:.4g} → {total[1]:.4g}"
        short = trainer.global_step < self.min_steps
        if unmoved:
            self.record("fail", f"the saved weights of {_listed(unmoved)} are those of the start", drop, **facts)
        elif short and (not drop >= self.limit or hardly):
            text = f"{sum_} after {trainer.global_step} steps, {self.min_steps} are needed to tell"
            self.record("inconclusive", text, drop, **facts)
        elif not drop >= self.limit:
            text = f"the saved weights are hardly better than those of the start on the same scenes: {sum_}"
            self.record("fail", text, drop, **facts)
        elif rising:
            text = f"not learnt, measured with the saved weights: {_changes(rising, before, after)}"
            self.record("fail", text, drop, **facts)
        elif late:
            self.record("fail", f"no gradient reaches {_listed(late)} in the last quarter of the run", drop, **facts)
        elif rested:
            self.record("fail", f"{_listed(rested)} did not move in the second half of the run", drop, **facts)
        elif hardly:
            text = f"hardly learnt, more steps are needed: {_changes(hardly, before, after)}"
            self.record("inconclusive", text, drop, **facts)
        else:
            least = min(falls, key=falls.__getitem__)
            text = f"{sum_} on the same {self.batches} batches, every term fell, {least} least ({falls[least]:.0%}); "
            self.record("pass", f"{text}all {len(change)} groups moved", drop, **facts)

    def _measure(self, trainer: Trainer, pl_module: Any, saved: Mapping[str, Any]) -> dict[str, float]:
        """Mean of each loss term over the fixed batches, of a model built from ``saved``."""
        device = trainer.strategy.root_device
        model = pl_module.rebuild(saved).to(device)
        batch_statistics(model)
        sums: dict[str, Tensor] = {}
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for batch in evidence_of(trainer, "fixed_batches")(self.batches):
                torch.manual_seed(0)
                for name, term in model.terms_of(move_data_to_device(batch, device)).items():
                    sums[name] = sums.get(name, torch.zeros((), device=device)) + term.float() / self.batches
        values = self.fetch(torch.stack(list(sums.values())))
        return {name: value if math.isfinite(value) else math.nan for name, value in zip(sums, values, strict=True)}


def _description(pl_module: Any) -> dict[str, Any]:
    """What a checkpoint of the module as it is now would say."""
    return {"hyper_parameters": dict(pl_module.hparams), "state_dict": pl_module.state_dict()}


def _changes(terms: list[str], before: Mapping[str, float], after: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {before[name]:.4g} → {after[name]:.4g}" for name in terms)


def _listed(groups: list[str]) -> str:
    return ", ".join(groups[:4]) + (f" and {len(groups) - 4} more" if len(groups) > 4 else "")
