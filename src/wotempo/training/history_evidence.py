"""Evidence that history is used: how plan and fused map change when the fusion stage gets no valid history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from wotempo.batch import Batch
from wotempo.training.module import LitPlanner


def without_history(valid: Tensor) -> Tensor:
    """valid (B, T) -> the current frame alone."""
    return torch.cat((torch.zeros_like(valid[:, :-1]), valid[:, -1:]), 1)


def observed_plan(
    module: LitPlanner, batch: Batch, blind: bool = False
) -> tuple[dict[str, Tensor], tuple[Tensor, ...], Tensor]:
    """The plan, and the arguments (bev, pose, dt, valid) and output of the stage. ``blind``: the stage gets
    history that is not valid; the frames are encoded all the same, so that no last bit of the encoder's differs."""
    stage, calls = module.model.fusion, []

    def change(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (*args[:3], without_history(args[3])) if blind else args

    def keep(_: nn.Module, args: tuple[Tensor, ...], fused: Tensor) -> None:
        calls.append((args, fused))

    # A stage that was compiled in place calls no hooks: it runs eagerly meanwhile.
    compiled, stage._compiled_call_impl = stage._compiled_call_impl, None
    try:
        with stage.register_forward_pre_hook(change), stage.register_forward_hook(keep):
            plan = module.model.plan(batch)
    finally:
        stage._compiled_call_impl = compiled
    return plan, *calls[0]


def _share(difference: Tensor, whole: Tensor) -> Tensor:
    """(B, C, H, W) twice -> norm over norm (B,)."""
    return difference.float().flatten(1).norm(dim=1) / whole.float().flatten(1).norm(dim=1).clamp(min=1e-12)


class HistoryTally:
    """Sums over batches, on the device. ``figures`` are means over the samples that have any history:

    - ``output_change``: norm of what removing history changes in the fused BEV, over the norm of what is left;
    - ``plan_change_m``: mean distance of the plan with history from the plan without, over its poses, metres;
    - ``residual_norm``: norm of what the stage adds to the current frame's map, over the norm of that map. It differs
      from ``output_change`` where something else than history is added, and where the backbone goes on after the stage;
    - ``<gate>_<k>``: mean of a gate over the cells that frame k shows (0 the current one, 1 the one before, …), for
      stages that have gates (``TemporalFusion.gate_values``).
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, module: LitPlanner, batch: Batch) -> None:
        """Plans ``batch`` twice, with and without history. ``module`` in evaluation: nothing random is drawn."""
        plan, args, fused = observed_plan(module, batch)
        blind, _, _ = observed_plan(module, batch, blind=True)
        bev, pose, dt, valid = args
        has = valid[:, :-1].any(1)
        current = bev[:, -1]
        apart = torch.linalg.vector_norm((plan["trajectory"] - blind["trajectory"])[..., :2].float(), dim=-1)
        of_sample = {
            "output_change": _share(plan["fused_bev"] - blind["fused_bev"], blind["fused_bev"]),
            "plan_change_m": apart.mean(-1),
            "residual_norm": _share(fused - current, current),
        }
        for name, value in of_sample.items():
            self._add(name, (value * has).sum(), has.sum())
        _, mask = module.model.fusion.warp_history(bev, pose, valid)
        seen = (mask & has[:, None, None, None, None]).float()
        for name, gate in module.model.fusion.gate_values(bev, pose, dt, valid).items():
            total = (gate.float().mean(2, keepdim=True) * seen).sum((0, 2, 3, 4))  # (T,)
            for k, (of_frame, cells) in enumerate(zip(total.flip(0), seen.sum((0, 2, 3, 4)).flip(0), strict=True)):
                self._add(f"{name}_{k}", of_frame, cells)

    def _add(self, name: str, total: Tensor, count: Tensor) -> None:
        pair = torch.stack((total.float(), count.float()))
        self.sums[name] = self.sums[name] + pair if name in self.sums else pair

    def figures(self, reduce: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float]:
        """Name -> mean; names without a sample are left out. ``reduce``: sums over ranks, (M, 2) -> (M, 2)."""
        if not self.sums:
            return {}
        totals = reduce(torch.stack(list(self.sums.values()))).tolist()
        return {name: total / count for name, (total, count) in zip(self.sums, totals, strict=True) if count}


def sentence(figures: dict[str, float]) -> str:
    """The figures in one line; gates oldest frame first."""
    if "output_change" not in figures:
        return "no sample with history was looked at"
    text = f"without it the map changes by {figures['output_change']:.1%} and the plan by "
    text += f"{figures['plan_change_m']:.2f} m; the stage adds {figures['residual_norm']:.1%} of the map's norm"
    gates: dict[str, list[str]] = {}
    for name, value in figures.items():
        gate, _, place = name.rpartition("_")
        if place.isdigit():
            gates.setdefault(gate, []).insert(0, f"{value:.2f}")
    return text + "".join(f"; {gate} {' '.join(values)}" for gate, values in gates.items())


class HistoryEvidence(L.Callback):
    """Logs ``history/<figure>`` of ``HistoryTally`` at every validation, from ``batches`` batches spread over it.

    Draws nothing, changes nothing; does nothing for a single frame. ``record`` is given the sentence for the verdict.
    """

    def __init__(self, record: Callable[[str], None] | None = None, batches: int = 2) -> None:
        self.record = record
        self.batches = batches
        self.tally = HistoryTally()
        self._sentence = ""

    def state_dict(self) -> dict[str, str]:
        return {"sentence": self._sentence}

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        self._sentence = state_dict["sentence"]
        if self.record is not None and self._sentence:
            self.record(self._sentence)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.tally = HistoryTally()

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        assert isinstance(pl_module, LitPlanner)
        (count,) = trainer.num_val_batches
        every = max(1, int(count) // self.batches) if count != float("inf") else 1
        due = batch_idx % every == 0 and batch_idx // every < self.batches
        if due and pl_module.is_temporal and not trainer.sanity_checking:
            with trainer.precision_plugin.forward_context():
                self.tally.add(pl_module, batch)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = self.tally.figures(lambda sums: trainer.strategy.reduce(sums, reduce_op="sum"))
        if not figures:
            return
        pl_module.log_dict({f"history/{name}": value for name, value in figures.items()}, sync_dist=True)
        self._sentence = sentence(figures)
        if self.record is not None:
            self.record(self._sentence)
