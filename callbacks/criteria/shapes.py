"""``shapes``: tensors have the named dimensions and dtypes of the module's contract."""

from __future__ import annotations

import re
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from callbacks.base.guard import Guard, Policy
from callbacks.measures.contract import Contract

# How torch says that sizes do not fit. Only these make a crash a finding of this criterion.
SHAPE_ERROR = re.compile(
    r"size of tensor a|shapes cannot be multiplied|is invalid for input of size|Sizes of tensors must match|"
    r"to have \d+ channels|must match the existing size|shape mismatch|size mismatch|not broadcastable|"
    r"Expected \d+D .* input|stack expects each tensor to be equal size|normalized_shape"
)


class ShapeGuard(Guard):
    """Checks ``pl_module.shape_contract(split)`` (see protocol.py) once, on the first training and the first
    validation batch: the fields of the batch before anything is computed, inputs and outputs of the named modules by
    hooks that are removed again. A crash that torch itself blames on sizes is a failure of this criterion too.
    """

    name = "shapes"
    number = 6
    exit_code = 14
    unit = "mismatches"
    sense = "="
    hint = "Compare the named dimension with the configuration (frames, channels, grid, anchors)."

    def __init__(self, policy: Policy = "fail", allow_inconclusive: bool = False) -> None:
        super().__init__(policy, allow_inconclusive)
        self.limit = 0
        self.memory = {"checked": {}}  # split -> number of places
        self._contract: Contract | None = None
        self._found = ""  # a violation on the way, in case that torch crashes before we can report it

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any) -> None:
        self._begin(trainer, pl_module, batch, "train")

    def on_before_backward(self, trainer: Trainer, *_: Any) -> None:
        self._end(trainer)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any) -> None:
        self._begin(trainer, pl_module, batch, "val")

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._end(trainer)

    def _begin(self, trainer: Trainer, pl_module: LightningModule, batch: Any, split: str) -> None:
        declared = getattr(pl_module, "shape_contract", None)
        if declared is None or split in self.memory["checked"]:
            return
        self.memory["checked"][split] = 0
        self._split, self._contract = split, Contract(declared(split), pl_module)
        self._contract.check_batch(batch)
        self._found = self._contract.first_violation
        self._raise_if(trainer, self._found)
        self._contract.attach()

    def _end(self, trainer: Trainer) -> None:
        if self._contract is None:
            return
        contract, self._contract = self._contract, None
        contract.detach()
        self.memory["checked"][self._split] = len(contract.places)
        self._found = contract.first_violation or contract.unseen()
        self._raise_if(trainer, self._found)

    def _raise_if(self, trainer: Trainer, violation: str) -> None:
        self.stop_if(trainer, bool(violation), f"{self._split}: {violation}", 1)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        checked = {split: count for split, count in self.memory["checked"].items() if count}
        if not checked:
            self.record("inconclusive", "the module declares no shape_contract")
            return
        places = ", ".join(f"{count} places in {split}" for split, count in checked.items())
        self.record("pass", f"{places} as declared", 0, **checked)

    def attribute(self, exception: BaseException) -> bool:
        violation = self._found or (self._contract.first_violation if self._contract is not None else "")
        text = str(exception)
        if not violation and not (isinstance(exception, RuntimeError | ValueError) and SHAPE_ERROR.search(text)):
            return False
        first_line = next(iter(text.splitlines()), type(exception).__name__)
        self.record("fail", f"{violation}; torch: {first_line}" if violation else f"torch: {first_line}", 1)
        return True
