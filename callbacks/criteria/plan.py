"""``plan``: what is driven on validation scenes is better than drivers that look at nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.base.guard import Guard, Policy, Status, agree, share
from callbacks.base.protocol import evidence_of, tokens_of
from callbacks.base.tensors import all_finite
from callbacks.measures.paired import chance_of

STILL, FIXED, RANDOM = "standing still", "best fixed plan", "random fixed plan"
SAME = 0.1
"""Metres: plans of two scenes that are nearer to each other at every pose are one and the same plan."""
COUNTED = 1000
"""Scenes, at most, whose plans are counted: each is compared with every plan found before it."""
ADE, SCORE = "ade", "score"
"""What a plan is judged by."""
AGAIN = 0.05
"""Metres: so far may a plan lie from itself when it is computed again (half precision, order of sums)."""


@dataclass(eq=False)
class PlanGuard(Guard):
    """Judges the latest validation: the plans are finite and the same when they are computed again, those of different
    scenes differ, and their mean displacement from the expert (ADE, m) is smaller than that of every driver in
    ``rivals``, which chance does not explain (paired test at ``alpha``). A sample of ``scored`` scenes goes through the
    exact scorer (PDMS), where the plan may not be worse than the rivals that move (``alpha`` again). A planner that is
    not to drive as the expert did is judged by that score alone (``by``): it must be better there than they are.

    Drivers, on the very scenes that are judged: *standing still*; the *best fixed plan*, which of ``fixed_plans`` has
    the smallest ADE here, in hindsight (without any: the mean of all experts); a *random fixed plan*; and those that
    ``evidence.simple_drivers`` has, as constant velocity, or a network that sees the ego's own state alone. In PDMS
    standing still is shown and not judged: a parked car hits nothing and leaves no road.

    It cannot see why a plan is good, nor how it is in scenes that the validation split lacks. Scenes of one log are
    alike, so that the test promises more than it holds where there are few logs.

    Args:
        rivals: names of the drivers that must be beaten; all are shown. None: plans must be finite, no more.
        min_scenes: validated scenes; fewer are inconclusive.
        scored: scenes whose plans are scored; 0 scores none.
        alpha: of either test, one-sided.
        by: what it must beat the rivals in, ``ade`` or ``score``.
    """

    name = "plan"
    number = 18
    exit_code = 27
    unit = "ADE, in terms of the best rival's"
    sense = "≤"
    hint = "Look at val/ade, at the scenes of the report, and at the loss terms by which a plan is chosen."

    rivals: Sequence[str] = (STILL, FIXED)
    min_scenes: int = 16
    scored: int = 16
    alpha: float = 0.05
    by: str = ADE
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        if self.by not in (ADE, SCORE):
            raise ValueError(f"by is '{self.by}': set it to {ADE} or {SCORE}")
        self.limit = 1.0 if self.rivals else None
        if self.by == SCORE:
            self.unit = "PDMS of the best rival, in terms of the plan's"
        # Of the latest validation: its step, scenes in the order of the columns, and by driver one ADE for each scene.
        self.memory = {"step": None, "tokens": [], "ade": {}, "distinct": 0, "sample": {}}
        self._plans: list[tuple[list[str], Tensor, Tensor]] = []
        self._no_future = False
        self._apart: Tensor | None = None  # a plan from itself, computed again

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self.status == "pending" and not hasattr(pl_module, "validated"):
            self.record("skipped", "the module does not say what it plans (`validated`)")

    # --- while it is validated

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._plans, self._apart = [], None

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        seen: Mapping[str, Tensor] = pl_module.validated
        if trainer.sanity_checking:
            return
        if "expert" not in seen:
            self._no_future = True
            return
        plan = seen["plan"].detach().float()
        self._plans.append((tokens_of(batch), plan, seen["expert"].detach().float()))
        if batch_idx == 0 and getattr(pl_module, "drive", None) is not None:
            with torch.no_grad(), torch.random.fork_rng(devices=[]), trainer.precision_plugin.forward_context():
                torch.manual_seed(0)
                again = pl_module.drive(batch)
            self._apart = torch.linalg.vector_norm((again.float() - plan)[..., :2], dim=-1).amax()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not agree(trainer, bool(self._plans)):
            return
        tokens, plans, experts = self._all_ranks(trainer)
        bad = [token for token, plan in zip(tokens, plans, strict=True) if not all_finite(plan)]
        text = f"{len(bad)} of {len(tokens)} plans on validation scenes are not finite, first that of scene {bad[:1]}"
        self.stop_if(trainer, bool(bad), text, None, tokens=bad[:20])
        apart = 0.0 if self._apart is None else self.fetch(self._apart.reshape(1))[0]
        text = (
            f"a plan on validation differs by {apart:.2f} m from itself when it is computed again: dropout, or another"
        )
        self.stop_if(trainer, not apart <= AGAIN, f"{text} random number, is left on", None, apart=apart)
        self._remember(trainer, pl_module, tokens, plans, experts)
        self._plans = []

    def _all_ranks(self, trainer: Trainer) -> tuple[list[str], Tensor, Tensor]:
        """Tokens, plans and experts (S, P, 3) of all ranks on the host, every scene once."""
        mine = [(names, plan.cpu(), expert.cpu()) for names, plan, expert in self._plans]
        parts = [part for of_rank in share(trainer, mine) for part in of_rank]
        names = [name for tokens, _, _ in parts for name in tokens]
        first = {name: place for place, name in reversed(list(enumerate(names)))}
        places = sorted(first.values())
        plans, experts = torch.cat([plan for _, plan, _ in parts]), torch.cat([expert for _, _, expert in parts])
        return [names[place] for place in places], plans[places], experts[places]

    def _remember(self, trainer: Trainer, pl_module: Any, tokens: list[str], plans: Tensor, experts: Tensor) -> None:
        drivers = {STILL: torch.zeros_like(plans)}
        fixed = getattr(pl_module, "fixed_plans", None)
        fixed = experts.mean(0, keepdim=True) if fixed is None else fixed.detach().float().cpu()
        by_plan = torch.stack([displacement(one.expand_as(experts), experts).mean() for one in fixed])
        drivers[FIXED] = fixed[by_plan.argmin()].expand_as(experts)
        generator = torch.Generator().manual_seed(0)
        drivers[RANDOM] = fixed[torch.randint(len(fixed), (len(tokens),), generator=generator)]
        if (simple_drivers := evidence_of(trainer, "simple_drivers")) is not None:
            simple = simple_drivers(tokens, [name for name in self.rivals if name not in drivers])
            drivers |= {name: torch.as_tensor(poses, dtype=torch.float32) for name, poses in simple.items()}
        drivers = {"plan": plans, **drivers}
        some = torch.randperm(len(tokens), generator=generator)[:COUNTED].tolist()
        self.memory.update(
            step=trainer.global_step,
            tokens=tokens,
            ade={name: displacement(poses, experts).tolist() for name, poses in drivers.items()},
            distinct=[distinct(plans[some]), distinct(experts[some])],
            sample={
                name: {tokens[i]: poses[i].tolist() for i in some[: self.scored]} for name, poses in drivers.items()
            },
        )

    # --- at the end

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        count, ade = len(self.memory["tokens"]), self.memory["ade"]
        if not count and self._no_future:
            why = "their logs hold no boxes, or end with the current frame"
            self.record("skipped", f"the validated scenes have no future to compare a plan with: {why}")
            return
        if not count:
            status: Status = "inconclusive" if self.rivals else "skipped"
            self.record(status, "nothing was validated")
            return
        if not self.rivals:
            self.record("pass", f"{count} plans are finite; no driver is named that they must beat")
            return
        if count < self.min_scenes:
            text = f"{count} validated scenes are too few to compare drivers, {self.min_scenes} are needed"
            self.record("inconclusive", text, scenes=count)
            return
        if absent := [name for name in self.rivals if name not in ade]:
            self.record("inconclusive", f"the plan must beat {', '.join(absent)}, of which nothing is known here")
            return
        means = {name: fmean(values) for name, values in ade.items()}
        scores = self._scores(trainer)
        movers = sorted(({FIXED, *self.rivals} - {STILL}) & scores.keys())
        if self.by == SCORE and not movers:
            self.record("inconclusive", "the plan is to be judged by its score, and no scene of validation was scored")
            return
        figures = {name: fmean(values) for name, values in scores.items()} if self.by == SCORE else means
        if self.by == SCORE:
            measured = round(max(figures[name] for name in movers) / max(figures["plan"], 1e-6), 4)
        else:
            measured = round(means["plan"] / max(min(means[name] for name in self.rivals), 1e-6), 4)
        plans, experts = self.memory["distinct"]
        facts = {
            "ade": _rounded(means),
            "pdms": _rounded({name: fmean(values) for name, values in scores.items()}),
            "scenes": count,
            "scored": len(self.memory["sample"]["plan"]) if scores else 0,
            "distinct_plans": plans,
            "distinct_experts": experts,
            "validated_at_step": self.memory["step"],
        }
        text = _row(means, scores, count, plans)
        if plans == 1 and experts > 1:
            self.record("fail", f"every scene gets the same plan, {experts} futures of the expert differ; {text}",
                        measured, **facts)  # fmt: skip
            return
        if self.by == SCORE:
            lost = [name for name in movers if figures["plan"] <= figures[name]]
        else:
            lost = [name for name in self.rivals if means["plan"] >= means[name]]
        if lost:
            self.record("fail", f"not better than {', '.join(lost)}: {text}", measured, **facts)
            return
        worse = [name for name in movers if chance_of(scores["plan"], scores[name]) <= self.alpha]
        if worse:
            self.record("fail", f"scores worse than {', '.join(worse)}: {text}", measured, **facts)
            return
        if self.by == SCORE:
            by_chance = [name for name in movers if chance_of(scores[name], scores["plan"]) > self.alpha]
        else:
            by_chance = [name for name in self.rivals if chance_of(ade["plan"], ade[name]) > self.alpha]
        if by_chance:
            text = f"better than {', '.join(by_chance)} perhaps by chance, more scenes are needed: {text}"
            self.record("inconclusive", text, measured, **facts)
            return
        self.record("pass", text, measured, **facts)

    def _scores(self, trainer: Trainer) -> dict[str, list[float]]:
        """PDMS of each driver, over the sampled scenes that can be scored; nothing where there is no scorer."""
        score, scores = evidence_of(trainer, "score"), None
        if trainer.is_global_zero and score is not None and self.scored:
            scores = score(self.memory["sample"])
        return share(trainer, scores)[0] or {}


def displacement(plans: Tensor, experts: Tensor) -> Tensor:
    """(S, P, 2 or 3) each -> (S,) mean distance in metres."""
    return torch.linalg.vector_norm(plans[..., :2] - experts[..., :2], dim=-1).mean(-1)


def distinct(plans: Tensor) -> int:
    """How many of the plans (S, P, 3) differ: each is counted that lies ``SAME`` or more from all counted before."""
    left, count = plans[..., :2].float(), 0
    while len(left):
        apart = torch.linalg.vector_norm(left - left[:1], dim=-1).amax(-1)
        left, count = left[apart >= SAME], count + 1
    return count


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _row(ade: Mapping[str, float], scores: Mapping[str, Sequence[float]], scenes: int, plans: int) -> str:
    others = ", ".join(f"{name} {value:.2f}" for name, value in ade.items() if name != "plan")
    text = f"ADE {ade['plan']:.2f} m in {scenes} scenes ({others})"
    if scores:
        rest = ", ".join(f"{name} {fmean(values):.2f}" for name, values in scores.items() if name != "plan")
        text += f"; PDMS {fmean(scores['plan']):.2f} ({rest})"
    return f"{text}; {plans} distinct plans"
