"""Faults of plans, learning, labels, splits and sensors: what a run may hold that no number of a single step shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from fault import BAD_STEP, Fault, around
from toy_drive import drive
from toy_evidence import InformedModule, full_batch, picture, unique_frames
from toy_run import STEPS

from callbacks import PlanGuard

PARTS = {"left": slice(0, 32), "front": slice(32, 64), "right": slice(64, 96)}


def informed(
    name: str, criterion: str, step: int, says: str, left: str = "none", module_: Any = InformedModule, **how: Any
) -> Fault:
    """``left``: the evidence of the fault; ``module_``: of the run. Some of each kind are run with two ranks, too."""
    return Fault(name, criterion, step, says, left, module=module_, informed=True, **{"ranks": "", **how})


# ---- plans


def planned(how: Callable[[torch.Tensor, Any], torch.Tensor]) -> Callable[[Any], None]:
    """What is driven, in place of what was learnt; training goes on as ever."""

    def change(module: Any) -> None:
        original = module.drive
        module.drive = lambda batch: how(original(batch), batch)

    return change


def too_fast(plan: torch.Tensor, batch: Any) -> torch.Tensor:
    """Straight on, at five times the speed."""
    ahead = 2.5 * batch["speed"][:, -1:] * torch.arange(1, 9)
    return torch.stack((ahead, 0 * ahead, 0 * ahead), -1)


def chosen_at_random(plan: torch.Tensor, batch: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(int(batch["tokens"][0][5:]))
    return 40 * torch.rand(plan.shape, generator=generator)


def nan_in_one(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    """In what is driven; the metrics do not see it."""
    original(batch, batch_idx)
    module.validated["plan"][2, 3, 0] = float("nan")


def dropout_left_on(module: Any) -> None:
    original = module.drive
    module.drive = lambda batch: torch.nn.functional.dropout(original(batch), 0.5, training=True)


def fixed() -> Callable[[torch.Tensor, Any], torch.Tensor]:
    """The same plan for every scene, and a good one."""
    best = full_batch([66, 70, 74, 78])["trajectory"].mean(0)
    return lambda plan, batch: best.expand_as(plan)


PLAN = [
    informed("every scene gets the same plan", "plan", STEPS, "every scene gets the same plan",
             change=planned(fixed()), ranks="all"),
    informed("plans are worse than standing still", "plan", STEPS, "not better than standing still",
             change=planned(too_fast)),
    informed("plans are drawn at random", "plan", STEPS, "not better than standing still",
             change=planned(chosen_at_random)),
    informed("the ego never moves", "plan", STEPS, "every scene gets the same plan",
             change=planned(lambda plan, batch: torch.zeros_like(plan))),
    informed("plans lead backwards", "plan", STEPS, "not better than standing still",
             change=planned(lambda plan, batch: -plan)),
    informed("plans in decimetres", "plan", STEPS, "not better than standing still",
             change=planned(lambda plan, batch: 10 * plan)),
    informed("a plan is NaN in one scene of validation", "plan", STEPS, "are not finite", "weights",
             change=around("validation_step", nan_in_one)),
    informed("dropout is left on in validation", "plan", STEPS, "when it is computed again", "weights",
             change=dropout_left_on),
]  # fmt: skip


# ---- learning


def decaying_weights(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    """The loss falls because its factors do."""
    return original(batch, batch_idx) * 0.97**batch_idx


class Slow(InformedModule):
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-9)


class Partly(InformedModule):
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.head.parameters(), 0.01)


class Frozen(InformedModule):
    def __init__(self, frames: int = 4) -> None:
        super().__init__(frames)
        self.encoder.requires_grad_(False)


class Unused(InformedModule):
    """A layer that no loss depends on."""

    def __init__(self, frames: int = 4) -> None:
        super().__init__(frames)
        self.extra = torch.nn.Linear(2, 2)

    def losses(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {**super().losses(batch), "nothing": 0.0 * self.extra(batch["status"][:, :2]).sum()}


def zero_gradients(prefix: str = "", since: int = BAD_STEP) -> Callable[[], tuple[L.Callback, ...]]:
    class Zero(L.Callback):
        def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            for name, parameter in pl_module.named_parameters():
                if parameter.grad is not None and name.startswith(prefix) and trainer.global_step >= since:
                    parameter.grad.zero_()

    return lambda: (Zero(),)


class Untouched(L.Callback):
    """Saves the weights of the start in place of the average that it never updates."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.start = {name: value.clone() for name, value in pl_module.state_dict().items()}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = {name: value.clone() for name, value in self.start.items()}

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.load_state_dict(self.start)  # as an average that is copied back


LEARNING = [
    informed("nothing is learnt, the loss falls with its own factors", "learning", STEPS, "are those of the start",
             module_=Slow, guards=lambda guilty: {"plan": PlanGuard(rivals=())},
             change=around("training_step", decaying_weights)),
    informed("the optimiser holds a part of the model", "learning", 0, "belong to no optimiser", "weights",
             module_=Partly),
    informed("an encoder is frozen, and nothing declares it", "learning", 0, "are frozen, and nothing declares it",
             "weights", module_=Frozen, ranks="all"),
    informed("a layer reaches no loss", "learning", 18, "no gradient reaches extra", "step", module_=Unused),
    informed("all gradients are zero from the middle on", "learning", 38, "no gradient reaches", "step",
             callbacks=zero_gradients()),
    informed("the stage's gradients are zero from the middle on", "learning", 38, "no gradient reaches fusion", "step",
             callbacks=zero_gradients("fusion")),
    informed("the encoder's gradients are zero from the middle on", "learning", 38, "no gradient reaches encoder",
             "step", callbacks=zero_gradients("encoder")),
    informed("gradients are zero near the end", "learning", STEPS, "in the last quarter of the run",
             callbacks=zero_gradients(since=34)),
    informed("the average of the weights is never updated", "learning", STEPS, "are those of the start",
             callbacks=lambda: (Untouched(),), dirty=True,
             guards=lambda guilty: {"plan": PlanGuard(rivals=())}),
]  # fmt: skip


# ---- labels


def says(**facts: Any) -> Callable[[Any], None]:
    """What the data finds out about its targets, but for ``facts``."""

    def patch(evidence: Any) -> None:
        original = evidence.targets
        evidence.targets = lambda count: {**original(count), **facts}

    return patch


def others_rows(batch: dict[str, Any], number: int) -> None:
    batch["sim_reward"] = batch["sim_reward"].roll(1, 0)


def others_experts(batch: dict[str, Any], number: int) -> None:
    other = full_batch([(int(name[5:]) * 7 + 31) % 60 for name in batch["tokens"]])
    batch["trajectory"] = other["trajectory"] * torch.linspace(0.2, 2.0, len(other["tokens"]))[:, None, None]


def late_experts(batch: dict[str, Any], number: int) -> None:
    """From a second later on: the first pose is three steps away."""
    batch["trajectory"] = torch.cat((batch["trajectory"][:, 2:], batch["trajectory"][:, -2:]), 1)


LABELS = [
    informed("label rows are shuffled between scenes", "labels", 0, "label rows are not what the scorer says",
             "weights",
             told=says(rows_apart=["frame003", "frame011"]), ranks="one"),
    informed("labels are constant", "labels", 0, "all plans have the same label", "weights", told=says(flat=1.0)),
    informed("every plan scores zero", "labels", 0, "every plan scores 0", "weights", told=says(worthless=1.0)),
    informed("the map is of another place", "labels", 0, "a map of another place", "weights",
             told=says(on_road=0.0)),
    informed("futures in the cache are those of other scenes", "labels", 0, "is not that of the log", "weights",
             told=says(expert_apart=["frame003"])),
    informed("labels of another scorer version", "labels", 0, "are of scorer version", "weights",
             told=says(scorer=["1", "2"])),
    informed("batches bring the label rows of other scenes", "labels", 0, "labels that are not theirs", "step",
             damage=others_rows, ranks="one"),
    informed("batches bring the futures of other scenes", "labels", 0, "contradicts the ego's speed", "step",
             damage=others_experts),
    informed("futures begin a second late", "labels", 0, "contradicts the ego's speed", "step", damage=late_experts),
]  # fmt: skip


# ---- splits


def listed(split: str, how: Callable[[list[str]], list[str]], kind: str = "tokens") -> Callable[[Any], None]:
    def patch(evidence: Any) -> None:
        original = evidence.splits

        def splits() -> Any:
            found = original()
            found[split][kind] = how(found[split][kind])
            return found

        evidence.splits = splits

    return patch


def validate_training(evidence: Any) -> None:
    evidence.frames = {"train": evidence.frames["train"], "val": evidence.frames["train"]}


def strangers(batch: dict[str, Any], number: int) -> None:
    if number >= BAD_STEP:
        batch["tokens"] = ["frame999", *batch["tokens"][1:]]


def one_batch_again(batch: dict[str, Any], number: int) -> None:
    batch.update(full_batch([66, 67, 68, 69]))


SPLITS = [
    informed("training scenes are validated", "splits", 0, "train and val share 62 scenes", "weights",
             told=validate_training, ranks="one"),
    informed("a scene belongs to two splits", "splits", 0, "train and val share 1 scenes", "weights",
             told=listed("val", lambda tokens: [*tokens, "frame003"])),
    informed("a scene stands twice in a split", "splits", 0, "stand in train more than once", "weights",
             told=listed("train", lambda tokens: [*tokens, tokens[0]])),
    informed("one log belongs to two splits", "splits", 0, "train and val share 1 logs", "weights",
             told=listed("val", lambda logs: ["log of train"], "logs")),
    informed("training batches bring foreign scenes", "splits", BAD_STEP, "do not belong to train", "step",
             damage=strangers),
    informed("validation shows one batch again and again", "splits", STEPS, "were not validated", "weights",
             validation=one_batch_again),
]  # fmt: skip


# ---- sensors


def shown(how: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, Any], int], None]:
    def damage(batch: dict[str, Any], number: int) -> None:
        batch["camera"] = how(batch["camera"].clone())

    return damage


def black(images: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(images)


def stuck(images: torch.Tensor) -> torch.Tensor:
    images[..., PARTS["front"]] = picture(5)[..., PARTS["front"]]
    return images


def doubled(images: torch.Tensor) -> torch.Tensor:
    images[..., PARTS["right"]] = images[..., PARTS["left"]]
    return images


def swapped(images: torch.Tensor) -> torch.Tensor:
    left, right = images[..., PARTS["left"]].clone(), images[..., PARTS["right"]].clone()
    images[..., PARTS["left"]], images[..., PARTS["right"]] = right, left
    return images


def late(sensor: str, by: int) -> Callable[[dict[str, Any], int], None]:
    """Each frame shows what was ``by`` frames before."""

    def damage(batch: dict[str, Any], number: int) -> None:
        frames = [frame - by for frame in unique_frames([int(name[5:]) for name in batch["tokens"]])]
        shown = [picture(frame % 500) if sensor == "camera" else drive()["lidar"][frame] for frame in frames]
        batch[sensor] = torch.stack(shown)

    return damage


def mirrored_lidar(batch: dict[str, Any], number: int) -> None:
    batch["lidar"] = batch["lidar"].flip(-1)


def future_in_the_status(batch: dict[str, Any], number: int) -> None:
    batch["status"] = batch["status"].clone()
    batch["status"][:, 6:] = batch["trajectory"][:, -1, :2]


def turned(batch: dict[str, Any], number: int) -> None:
    batch["pose"] = batch["pose"] * torch.tensor([1.0, 1.0, -1.0])


SENSORS = [
    informed("cameras are black", "sensors", 4, "is constant", "step", damage=shown(black), ranks="one", together=0),
    informed("one camera is stuck", "sensors", 4, "front camera is stuck", "step", damage=shown(stuck)),
    informed("two cameras show the same", "sensors", 4, "two cameras show the same", "step", damage=shown(doubled)),
    informed("left and right camera are swapped", "sensors", 4, "the camera fits better left and right swapped", "step",
             damage=shown(swapped)),
    informed("pictures are mirrored", "sensors", 4, "the camera fits better mirrored", "step",
             damage=shown(lambda images: images.flip(-1))),
    informed("pictures are half a second late", "sensors", 4, "the camera fits better half a second before", "step",
             damage=late("camera", 1)),
    informed("pictures are half a second early", "sensors", 8, "the camera fits better half a second later", "step",
             damage=late("camera", -1)),
    informed("LiDAR is half a second late", "sensors", 4, "the lidar fits better half a second before", "step",
             damage=late("lidar", 1)),
    informed("LiDAR is mirrored", "sensors", 4, "the lidar fits better mirrored", "step", damage=mirrored_lidar),
    informed("the expert's end stands in the status", "sensors", 4, "the status is none of a car now", "step",
             damage=future_in_the_status),
]  # fmt: skip


# ---- among the older criteria


def nan_metric(original: Any, module: Any, batch: Any, batch_idx: int) -> Any:
    original(batch, batch_idx)
    module.log("val/ade", torch.tensor(float("nan")), batch_size=len(batch["tokens"]), sync_dist=True)


OLDER = [
    informed("headings with reversed sign", "ego_motion", 8, "the path turns", "step", damage=turned),
    informed("the metric that chooses the best checkpoint is NaN", "finite", STEPS, "val/ade is not finite", "weights",
             change=around("validation_step", nan_metric)),
]  # fmt: skip
