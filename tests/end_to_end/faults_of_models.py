"""Learning and plans of a real run, damaged: each function is given the run's own workspace and a monkeypatch."""

from __future__ import annotations

import copy

import torch

# ---- learning


def an_average_that_is_never_updated(workspace, monkeypatch):
    from wotempo.training.averaging import RunningAverage

    monkeypatch.setattr(RunningAverage, "should_update", lambda self, step_idx=None, epoch_idx=None: False)


def decaying_factors(workspace, monkeypatch):
    import wotempo.training.optimiser as optimiser
    from wotempo.training.module import LitPlanner

    original = LitPlanner.training_step
    monkeypatch.setattr(optimiser, "schedule_factor", lambda step, total, config: 1e-6)
    monkeypatch.setattr(
        LitPlanner, "training_step", lambda self, batch, i: original(self, batch, i) * 0.97**self.global_step
    )


def half_an_optimiser(workspace, monkeypatch):
    import wotempo.training.optimiser as optimiser

    original = optimiser.parameter_groups
    monkeypatch.setattr(optimiser, "parameter_groups", lambda model, config: original(model, config)[:1])


def frozen_but_the_map(workspace, monkeypatch):
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.build.__func__

    def build(cls, *arguments):
        model = original(cls, *arguments)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("bev_semantic_head"))
        return model

    monkeypatch.setattr(WoTE, "build", classmethod(build))


# ---- plans


def always_the_same_anchor(workspace, monkeypatch):
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.select

    def select(self, fused, status):
        out = original(self, fused, status)
        return {**out, "trajectory": self.trajectory_anchors[:1].expand_as(out["trajectory"])}

    monkeypatch.setattr(WoTE, "select", select)


def training_mode_in_validation(workspace, monkeypatch):
    from wotempo.training.module import LitPlanner

    monkeypatch.setattr(LitPlanner, "on_validation_batch_start", lambda self, *_: self.model.train())


def a_metric_that_is_nan(workspace, monkeypatch):
    from wotempo.planners.metrics import PlanMetrics

    original = PlanMetrics.compute
    monkeypatch.setattr(PlanMetrics, "compute", lambda self: {**original(self), "val/ade": torch.tensor(torch.nan)})


def _selected(monkeypatch, change):
    """``change(trajectory (B, 8, 3), out)`` in place of the plan that WoTE selects."""
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.select

    def select(self, fused, status):
        out = original(self, fused, status)
        return {**out, "trajectory": change(out["trajectory"], out)}

    monkeypatch.setattr(WoTE, "select", select)


def the_worst_plan_is_chosen(workspace, monkeypatch):
    def worst(plan, out):
        return out["all_trajectory"][torch.arange(len(plan)), out["final_rewards"].argmin(-1)]

    _selected(monkeypatch, worst)


def plans_backwards(workspace, monkeypatch):
    _selected(monkeypatch, lambda plan, out: -plan)


def plans_twice_as_far_and_then_some(workspace, monkeypatch):
    _selected(monkeypatch, lambda plan, out: 4 * plan + 20)


def a_new_random_plan_at_each_call(workspace, monkeypatch):
    def drawn(plan, out):
        number = out["all_trajectory"].shape[1]
        return out["all_trajectory"][torch.arange(len(plan)), torch.randint(number, (len(plan),))]

    _selected(monkeypatch, drawn)


def always_standing_still(workspace, monkeypatch):
    _selected(monkeypatch, lambda plan, out: torch.zeros_like(plan))


def a_plan_that_is_nan(workspace, monkeypatch):
    from wotempo.planners.metrics import PlanMetrics

    monkeypatch.setattr(PlanMetrics, "update", lambda self, *_: None)
    monkeypatch.setattr(PlanMetrics, "compute", lambda self: {"val/ade": torch.tensor(1.0)})
    _selected(monkeypatch, lambda plan, out: torch.full_like(plan, torch.nan))


def _gradients(monkeypatch, of, since=8):
    """Zero from that step on, of the parameters whose names begin so."""
    from wotempo.training.module import LitPlanner

    def after(self):
        for name, parameter in self.named_parameters():
            if self.global_step >= since and parameter.grad is not None and name.startswith(of):
                parameter.grad.zero_()

    monkeypatch.setattr(LitPlanner, "on_after_backward", after)


def no_gradient_at_all(workspace, monkeypatch):
    _gradients(monkeypatch, "")


def no_gradient_for_the_stage(workspace, monkeypatch):
    _gradients(monkeypatch, "model.fusion")


def no_gradient_for_the_encoder(workspace, monkeypatch):
    _gradients(monkeypatch, "model._backbone")


def no_gradient_near_the_end(workspace, monkeypatch):
    _gradients(monkeypatch, "", since=28)


def _terms(monkeypatch, change):
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.losses
    monkeypatch.setattr(WoTE, "losses", lambda self, *given: change(original(self, *given)))


def only_the_map_learns(workspace, monkeypatch):
    _terms(monkeypatch, lambda terms: {k: v if "map" in k else v.detach() for k, v in terms.items()})


def the_plan_is_taught_the_contrary(workspace, monkeypatch):
    from wotempo.training.module import LitPlanner

    def step(self, batch, batch_idx):
        self.loss_terms = self.terms_of(batch)
        signs = {"im_reward": -1.0}
        return torch.stack([signs.get(name, 1.0) * term for name, term in self.loss_terms.items()]).sum()

    monkeypatch.setattr(LitPlanner, "training_step", step)


def the_optimiser_holds_a_copy(workspace, monkeypatch):
    import wotempo.training.module as module

    original = module.build_optimiser
    monkeypatch.setattr(module, "build_optimiser", lambda model, *rest: original(copy.deepcopy(model), *rest))


def a_rate_that_moves_nothing(workspace, monkeypatch):
    import wotempo.training.optimiser as optimiser

    monkeypatch.setattr(optimiser, "schedule_factor", lambda step, total, config: 1e-6)


def the_scene_is_not_told_to_the_model(workspace, monkeypatch):
    """Futures belong to other scenes of the batch in the loss alone: what is learnt is no better than a mean."""
    from wotempo.planners.wote.wote import WoTE

    original = WoTE.losses

    def losses(self, outputs, batch, weights):
        other = {**batch, "trajectory": 40 * torch.rand_like(batch["trajectory"])}
        return original(self, outputs, other, weights)

    monkeypatch.setattr(WoTE, "losses", losses)


# Found at the end of training: a short one shows it.
SHORT = ("trainer.max_epochs=1", "+acceptance.warp_gain.min_frames=8")
MODEL = [
    ("learning", an_average_that_is_never_updated, (*SHORT, "trainer.ema=0.9")),
    ("learning", decaying_factors, SHORT),
    ("learning", a_rate_that_moves_nothing, SHORT),
    ("learning", half_an_optimiser, ()),
    ("learning", the_optimiser_holds_a_copy, ()),
    ("learning", frozen_but_the_map, ("experiment=baseline_1epoch",)),
    (
        "learning",
        only_the_map_learns,
        ("experiment=baseline_1epoch", "+acceptance.learning.every=4", "acceptance.learning.patience=8"),
    ),
    ("learning", the_plan_is_taught_the_contrary, ("experiment=baseline_1epoch",)),
    ("learning", no_gradient_for_the_stage, ("+acceptance.learning.every=4", "acceptance.learning.patience=8")),
    ("learning", no_gradient_for_the_encoder, ("+acceptance.learning.every=4", "acceptance.learning.patience=8")),
    (
        "learning",
        no_gradient_at_all,
        ("experiment=baseline_1epoch", "+acceptance.learning.every=4", "acceptance.learning.patience=8"),
    ),
    (
        "learning",
        no_gradient_near_the_end,
        ("experiment=baseline_1epoch", "+acceptance.learning.every=4", "acceptance.learning.patience=20"),
    ),
    ("plan", always_the_same_anchor, SHORT),
    ("plan", always_standing_still, SHORT),
    ("plan", the_worst_plan_is_chosen, ()),
    ("plan", plans_backwards, SHORT),
    ("plan", plans_twice_as_far_and_then_some, SHORT),
    ("plan", a_new_random_plan_at_each_call, ()),
    ("plan", a_plan_that_is_nan, ()),
    ("plan", training_mode_in_validation, ("model.dropout=0.3",)),
    ("finite", a_metric_that_is_nan, ()),
]
"""(criterion that is meant, fault, overrides)."""
