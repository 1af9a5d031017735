"""``Guard``, the base class of every acceptance criterion: verdict, policy, agreement of all ranks, cost."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus

from callbacks.base.protocol import is_temporal, unjudged

Policy = Literal["fail", "warn", "off"]
Status = Literal["pending", "pass", "fail", "skipped", "inconclusive"]


APART = ("on_fit", "on_train_start", "on_train_end", "on_validation", "on_sanity")
"""Hooks that are not part of a training step."""


class AcceptanceError(RuntimeError):
    """A criterion failed while the run was still going; raised on every rank, before any weight is harmed.

    It is an ordinary exception and not a ``SystemExit``: a multirun goes on with its next job (``exit_code_of``
    translates it at the outermost ``main``).
    """

    def __init__(
        self, criterion: str, measured: Any, limit: Any, step: int, message: str, hint: str, exit_code: int
    ) -> None:
        super().__init__(criterion, measured, limit, step, message, hint, exit_code)  # all of them: it must pickle
        self.criterion = criterion
        self.measured = measured
        self.limit = limit
        self.step = step
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.criterion} failed at step {self.step}: {self.message}. {self.hint}"


class OwnFailure(AcceptanceError):
    """A failure of one rank that no collective can tell the others; they read it in its note (rank_notes.py)."""


def callbacks_of(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]  # set by a connector, which type checkers do not see


def agree(trainer: Trainer, failed: bool) -> bool:
    """True on every rank where ``failed`` is true on any. Collective: every rank must call it at the same point."""
    if trainer.world_size == 1:
        return failed
    return trainer.strategy.reduce_boolean_decision(failed, all=False)


def share(trainer: Trainer, value: Any) -> list[Any]:
    """``value`` of every rank, by rank. Collective and slow: for the end of a run and for failures."""
    if trainer.world_size == 1:
        return [value]
    values: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def _guarded(hook: Callable[..., None]) -> Callable[..., None]:
    """Skip the hook where the criterion does not apply (nor in ``validate`` and ``test``), and charge its time."""

    apart = hook.__name__.startswith(APART)

    @functools.wraps(hook)
    def timed(self: Guard, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if self.policy == "off" or self.status == "skipped" or trainer.state.fn != TrainerFn.FITTING:
            return
        start = time.perf_counter()
        try:
            hook(self, trainer, *args, **kwargs)
        finally:
            taken = time.perf_counter() - start
            if apart:
                self.seconds_apart += taken
            else:
                self.seconds += taken

    return timed


class Guard(Callback):
    """One acceptance criterion. Subclasses watch in ``on_*`` hooks and decide in ``conclude``; they call ``stop_if``
    for a failure that should end the run at once. One with many parameters is a dataclass (``eq=False``: two criteria
    are never the same) whose ``__post_init__`` calls this constructor.

    Args:
        policy: ``fail`` (counts), ``warn`` (is judged and shown, never changes the exit code), ``off`` (not judged).
        allow_inconclusive: accept a run in which this criterion could not be decided (smoke runs).

    Attributes:
        status: pending | pass | fail | skipped | inconclusive.
        measured, limit, unit: plain data; the number that was judged and what it was held against.
        details: further plain data for the verdict file.
        trainer: the one that it is attached to.
        memory: plain data that survives a resume (everything that ``conclude`` needs). With ``by_rank`` each rank gets
            its own back, unless there are more or fewer ranks now; else, and then, that of rank 0.
        seconds, waited: host time spent in hooks of training steps; of all hooks, waiting for the device's own work.
        seconds_apart: host time at the start, in validation and at the end.
    """

    name: ClassVar[str]
    number: ClassVar[int]
    exit_code: ClassVar[int]
    unit: str = ""
    sense: ClassVar[str] = "≥"  # measured must be … the limit: ≥, >, ≤ or =
    hint: ClassVar[str] = ""
    needs_history: ClassVar[bool] = False
    by_rank: ClassVar[bool] = False

    def __init__(self, policy: Policy = "fail", allow_inconclusive: bool = False) -> None:
        if policy not in ("fail", "warn", "off"):
            raise ValueError(f"the policy of criterion {self.name!r} is {policy!r}; it must be fail, warn or off")
        self.policy: Policy = policy
        self.allow_inconclusive = allow_inconclusive
        self.status: Status = "pending"
        self.measured: Any = None
        self.limit: Any = None
        self.message = ""
        self.details: dict[str, Any] = {}
        self.memory: dict[str, Any] = {}
        self.seconds = self.seconds_apart = 0.0
        self.waited = 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if name.startswith("on_") and callable(member):
                setattr(cls, name, _guarded(member))

    # --- a subclass defines -------------------------------------------------------------------------------------

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide at the end of the run by ``record``. Called once, on every rank, after all files are written."""
        raise NotImplementedError

    def flush(self) -> None:
        """Bring ``memory`` up to date (from the device) before it is saved. Collective, as saving is."""

    def attribute(self, exception: BaseException) -> bool:
        """Whether ``exception`` is a failure of this criterion that torch raised first; ``record``s it then."""
        return False

    # --- a subclass calls ------------------------------------------------------------------------------------------

    def record(self, status: Status, message: str, measured: Any = None, **details: Any) -> None:
        """Set the verdict of this rank; ``measured`` and ``details`` are plain data. A failure is final."""
        if self.status == "fail":
            return
        self.status, self.message = status, message
        if measured is not None:
            self.measured = measured
        self.details.update(details)

    def stop_if(self, trainer: Trainer, failed: bool, message: str = "", measured: Any = None, **details: Any) -> None:
        """Collective: if the criterion failed on any rank, record it on all and, under policy ``fail``, end the run.

        Raises: AcceptanceError on every rank.
        """
        if self.status == "fail" or not agree(trainer, failed):
            return
        findings = share(trainer, (message, measured, details) if failed else None)
        rank, (text, value, facts) = next((r, f) for r, f in enumerate(findings) if f is not None)
        if trainer.world_size > 1:
            text, facts = f"rank {rank}: {text}", {**facts, "rank": rank}
        self.record("fail", text, value, **facts)
        if self.policy == "fail":
            step = trainer.global_step
            raise AcceptanceError(self.name, self.measured, self.limit, step, text, self.hint, self.exit_code)

    def fetch(self, tensor: torch.Tensor) -> list[Any]:
        """Bring a tensor to the host as a list: the one place where a guard waits for the device."""
        start = time.perf_counter()
        values = tensor.tolist()
        if tensor.device.type != "cpu":
            self.waited += time.perf_counter() - start
        return values

    # --- Lightning --------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.trainer = trainer
        if stage != "fit":
            return
        self.status, self.message = "pending", ""  # the same object may serve a second `fit`
        if self.policy == "off":
            self.record("skipped", "switched off")
        elif self.needs_history and not is_temporal(pl_module):
            self.record("skipped", "single frame")
        elif reason := unjudged(pl_module).get(self.name):
            self.record("skipped", reason)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The only hook in which every file is written and which runs even where `on_train_end` is left out (max_time).
        self.finish(trainer, pl_module)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Conclude once, and take the worst verdict of all ranks. The report calls it for every guard, so that the
        order of the callbacks does not matter."""
        if self.status != "pending":
            return
        self.conclude(trainer, pl_module)
        verdicts = share(trainer, (self.status, self.message, self.measured, self.details))
        worst = max(verdicts, key=lambda verdict: ("pass", "skipped", "inconclusive", "fail").index(verdict[0]))
        self.status, self.message, self.measured, self.details = worst

    @property
    def state_key(self) -> str:
        return f"acceptance/{self.name}"

    def state_dict(self) -> dict[str, Any]:
        self.flush()
        failure = {"message": self.message, "measured": self.measured, "details": self.details}
        # Lists are copied: they grow while an asynchronous writer may still be busy.
        memory = {key: list(value) if isinstance(value, list) else value for key, value in self.memory.items()}
        state: dict[str, Any] = {
            "failure": failure if self.status == "fail" else None,
            "memory": memory,
            "policy": self.policy,
        }
        if self.by_rank and self.trainer.state.status == TrainerStatus.RUNNING:  # else other ranks may be gone
            state["memories"] = share(self.trainer, memory)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        failure = state_dict["failure"]
        if failure is not None and state_dict["policy"] == "fail":
            return  # it ended that run; resuming is a new attempt, which is judged afresh
        memories = state_dict.get("memories", [])
        own = len(memories) == self.trainer.world_size
        self.memory.update(memories[self.trainer.global_rank] if own else state_dict["memory"])
        if failure is not None:
            self.record("fail", failure["message"], failure["measured"], **failure["details"])
