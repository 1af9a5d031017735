"""``gradient_flow``: gradient reaches every valid history frame, and the encoder that made its map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from callbacks.base.eager import hookable
from callbacks.base.guard import Guard, Policy, agree
from callbacks.base.protocol import missing_fields

UPSTREAM = 0.5
"""Of the parameters that make the maps, at least this share: a model may treat the current frame apart."""
ASKED = 32
"""Parameters of the module that are asked, at most."""


@dataclass(eq=False)
class GradientFlowGuard(Guard):
    """Looks at the tensor (B, T, C, H, W) that enters ``pl_module.temporal_fusion``, and keeps its gradient.

    Downstream: every valid history frame must have a non-zero gradient there, and a frame that is not valid must
    have none. Upstream, once: a backward pass from the pure history frames alone must reach a trainable parameter
    (history encoded without gradient is found here). Learned stages start with a zero output projection, through
    which no gradient passes at the very first step (nor while a warm-up holds the learning rate at zero): looks from
    ``first_step`` on, passes after ``looks`` good steps, fails after ``patience`` looks without,
    and looks again now and then, to start anew where the gradient is gone.

    Every look also logs ``history/grad_share_<k>``: the mean gradient norm of the frames that are k before the current
    one (k = 0), over the sum of all places. With little of it history is read, but hardly learnt from.

    Args:
        first_step: optimiser steps before the first look.
        looks: good steps needed.
        patience: looks (optimiser steps) after which a bad one is a failure; more than the fp16 scaler may skip.
        every: batches between two later looks.
        min_share: smallest share of valid history frames with gradient in a good step.
        upstream: False for a frozen encoder; a stage that works on raw inputs (``raw_history``) is not asked.
    """

    name = "gradient_flow"
    number = 10
    exit_code = 19
    unit = "share of history frames"
    hint = "Look for detach(), no_grad() or a mask that hides valid frames between the encoder and the loss."
    needs_history = True

    first_step: int = 2
    looks: int = 3
    patience: int = 20
    every: int = 100
    min_share: float = 0.99
    upstream: bool = True
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = self.min_share
        self._upstream = self.upstream
        self.obstacle = "no training step was looked at"
        self.memory = {"good": 0, "looked": 0, "share": None, "upstream": False}
        self._undo: list[Callable[[], None]] = []
        self._bev: Tensor | None = None
        self._looked_at = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._looked_at = -1

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        satisfied = self.memory["good"] >= self.looks and batch_idx % self.every != 0
        early = trainer.global_step < self.first_step
        # Once per optimiser step: between its micro-batches nothing has changed that could mend what was found.
        if early or satisfied or trainer.global_step == self._looked_at or self.status == "fail":
            return
        self._looked_at = trainer.global_step
        stage: Any = getattr(pl_module, "temporal_fusion", None)
        obstacle = missing_fields(batch, ("valid", "frame_index"))
        if stage is None:
            obstacle = "the module has no temporal_fusion"
        if self._left_out(trainer, obstacle):
            return
        self._batch = batch
        self._upstream = self.upstream and not getattr(pl_module, "raw_history", False)
        self._undo = [hookable(stage), stage.register_forward_pre_hook(self._catch, with_kwargs=True).remove]

    def _left_out(self, trainer: Trainer, obstacle: str) -> bool:
        """Whether this step is left out: on all ranks as soon as on one, since what follows is collective."""
        left_out = agree(trainer, bool(obstacle))
        if left_out:
            self.obstacle = obstacle or "another rank could not look"
        return left_out

    def _catch(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bev = args[0] if args else kwargs["bev"]
        if not torch.is_grad_enabled():
            return None
        if not bev.requires_grad and not self._upstream:
            bev = bev.detach().requires_grad_()  # raw inputs: measure at a leaf of our own
        if bev.requires_grad:
            bev.retain_grad()
        self._bev = bev
        return ((bev, *args[1:]), kwargs) if args else (args, {**kwargs, "bev": bev})

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        for undo in self._undo:
            undo()
        if not self._undo or self.memory["upstream"] or not self._upstream:
            return
        share = None
        if self._bev is not None:
            share = upstream_share(self._bev, self._batch, pl_module)
            self._bev.grad = None  # that pass left its own seed there
        text = "history frames are cut off from the encoder: their gradient reaches few or none of its parameters"
        self.stop_if(trainer, share is not None and share < UPSTREAM, text, 0.0, upstream_share=share)
        # Unknown on one rank (no pure history frame in its batch): all ranks try again, so that they stay in step.
        self.memory["upstream"] = not agree(trainer, share is None)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        looked, self._undo = bool(self._undo), []
        bev, self._bev = self._bev, None
        if not looked:
            return
        uncalled = "" if bev is not None else "temporal_fusion was never called as a module in a training step"
        if self._left_out(trainer, uncalled) or bev is None:
            return
        valid, self._batch = self._batch["valid"].bool(), None
        kept = getattr(pl_module.temporal_fusion, "kept", None)
        if kept is not None:  # frames that the stage left out of this step must have no gradient either
            valid = valid & kept
        gradient = torch.zeros_like(bev) if bev.grad is None else bev.grad
        size = gradient[:, :-1].flatten(2).abs().amax(-1)  # (B, T-1)
        history, broken = valid[:, :-1], ~torch.isfinite(size).all()
        per_place = torch.stack([((size > 0) & history).sum(0), history.sum(0), ((size > 0) & ~history).sum(0)])
        norms = gradient.float().flatten(2).norm(dim=-1).sum(0)  # (T,)
        counts = torch.cat([per_place.flatten(), norms, broken[None]]).float()
        values = self.fetch(trainer.strategy.reduce(counts, reduce_op="sum"))
        places, overflow = len(norms) - 1, values[-1]
        numbers = [int(number) for number in values[: 3 * places]]
        hit, meant, leaked = numbers[:places], numbers[places : 2 * places], numbers[2 * places :]
        if overflow or sum(meant) == 0:
            return  # a step that the fp16 scaler skips, or no history in this batch: nothing to learn here
        self._log_shares(pl_module, values[3 * places : -1], [*meant, len(valid) * trainer.world_size])
        self._judge(trainer, hit, meant, leaked)

    def _log_shares(self, pl_module: LightningModule, norms: list[float], frames: list[int]) -> None:
        """Per place, oldest first and the current one last: summed gradient norms, and the frames that they are of."""
        means = [norm / max(count, 1) for norm, count in zip(norms, frames, strict=True)]
        if total := sum(means):
            self.memory["frame_shares"] = [round(mean / total, 4) for mean in means]
            places = range(len(means) - 1, -1, -1)
            shares = zip(places, self.memory["frame_shares"], strict=True)
            pl_module.log_dict({f"history/grad_share_{k}": value for k, value in shares})

    def _judge(self, trainer: Trainer, hit: list[int], meant: list[int], leaked: list[int]) -> None:
        """Per place, oldest first: valid history frames with gradient, valid ones, and missing ones with gradient."""
        share = round(sum(hit) / sum(meant), 4)
        silent = [place - len(hit) for place, h in enumerate(hit) if h == 0 and meant[place]]
        good = share >= self.limit and not silent
        if not good and self.memory["good"] >= self.looks:
            self.memory.update(good=0, looked=0)  # it was fine and is not any more: look at every step again
        self.memory["looked"] += 1
        self.memory["good"] += good
        self.memory["share"] = share
        facts = {"reached_by_place": hit, "valid_by_place": meant, "leaked_by_place": leaked}
        self.stop_if(trainer, sum(leaked) > 0, f"{sum(leaked)} frames that are not valid get gradient", share, **facts)
        where = f", none at all reaches frame {', '.join(map(str, silent))}" if silent else ""
        text = f"gradient reaches {share:.0%} of the valid history frames after {trainer.global_step} steps{where}"
        out_of_patience = not good and self.memory["looked"] >= self.patience and self.memory["good"] < self.looks
        self.stop_if(trainer, out_of_patience, text, share, **facts)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        good, looked, share = self.memory["good"], self.memory["looked"], self.memory["share"]
        if good >= self.looks:
            beyond = "" if self._upstream else "; the encoder beyond was not asked"
            text = f"gradient reaches {share:.0%} of the valid history frames in {good} steps{beyond}"
            self.record("pass", text, share, gradient_share_by_place=self.memory.get("frame_shares"))
        elif looked == 0:
            self.record("inconclusive", self.obstacle)
        else:
            text = f"gradient reached the history in {good} of {looked} looks, {self.looks} are needed"
            # All looks bad is a finding even if the run was too short for the patience.
            self.record("inconclusive" if good else "fail", text, share)


def upstream_share(bev: Tensor, batch: Any, pl_module: LightningModule) -> float | None:
    """Of the trainable parameters that ``bev`` (B, T, C, H, W) was computed with, the share that gradient of the pure
    history frames reaches. None where the batch has no pure history frame.

    Frames that are current in another sample of the batch do not count: they would be encoded with gradient anyway.
    Accumulates no gradient; must run before the graph is freed. Costs a backward pass of the encoder.
    """
    index, valid = batch["frame_index"], batch["valid"].bool()
    pure = valid & ~torch.isin(index, index[:, -1])
    if not bool(pure.any()):
        return None
    computed_with = _leaves(bev)
    parameters = [p for p in pl_module.parameters() if p in computed_with]
    # A part, evenly spread: most of a backward pass are the gradients of weights, and only those asked for are made.
    count = min(ASKED, len(parameters))
    if count == 0:
        return 0.0
    asked = [parameters[i * len(parameters) // count] for i in range(count)]
    return _reached(bev, pure, asked) / count


def _leaves(tensor: Tensor) -> set[Tensor]:
    """What gets gradient from ``tensor``, as its graph has it: no pass through it is needed."""
    leaves, seen, ahead = set(), set(), [tensor.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (leaf := getattr(node, "variable", None)) is not None:
            leaves.add(leaf)
        ahead += [before for before, _ in node.next_functions]
    return leaves


def _reached(bev: Tensor, places: Tensor, parameters: Sequence[Tensor]) -> int:
    """How many of the parameters get a gradient from these places (B, T) of ``bev`` alone."""
    # Not ones: batch norm passes no gradient of a constant. A generator of its own leaves the run's random state alone.
    generator = torch.Generator(bev.device).manual_seed(0)
    noise = torch.randn(bev.shape, generator=generator, device=bev.device).to(bev.dtype)
    seed = noise * places.reshape(*places.shape, *[1] * (bev.dim() - 2))
    gradients = torch.autograd.grad(bev, parameters, seed, retain_graph=True, allow_unused=True)
    got = [gradient for gradient in gradients if gradient is not None]
    # One read for all: each would wait for the device. NaN counts as arrived: it is another criterion's finding.
    return int(torch.stack([gradient.any() for gradient in got]).sum()) if got else 0
