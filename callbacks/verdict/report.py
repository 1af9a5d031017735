"""``AcceptanceReport``: one verdict and one exit code for the run, from all its criteria."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.base.guard import AcceptanceError, Guard, OwnFailure, callbacks_of
from callbacks.base.plain import plain, write_atomic, write_json
from callbacks.verdict import rank_notes
from callbacks.verdict.card import card, markdown

ACCEPTED, CRASHED, LIMITED, INCOMPLETE, SIGTERM = 0, 1, 2, 15, 143
UNFINISHED = "the run has not ended, or was killed"
UNPREPARED = "the preparation of the run has not ended, or was killed"
ENTRY = ("number", "name", "status", "policy", "allow_inconclusive", "measured", "limit", "sense", "unit", "message",
         "hint", "exit_code", "details")  # fmt: skip
"""What the verdict says of each criterion, in this order."""


class Preempted(SystemExit):
    """Raise it where the scheduler ends the run early (time limit, preemption) and what continues it is saved."""

    def __init__(self, reason: str) -> None:
        super().__init__(INCOMPLETE)
        self.reason = reason


def exit_code_of(error: BaseException | None) -> int:
    """Exit code for what came out of ``trainer.fit``. An exception may carry its own ``exit_code``."""
    if error is None:
        return ACCEPTED
    if isinstance(error, SIGTERMException):  # its own code is None, so Python would exit 0
        return SIGTERM
    if isinstance(error, KeyboardInterrupt):
        return INCOMPLETE
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return int(getattr(error, "exit_code", CRASHED))


class AcceptanceReport(Callback):
    """Writes ``verdict.json`` and ``verdict.md`` into ``directory``: *incomplete* at the start (so a killed run says
    the truth), again after each epoch, and the final verdict at the end or on an exception.

    Status: accepted (every criterion passed, was skipped, or only warns) | rejected (a criterion failed, or could not
    be decided and may not) | incomplete (stopped from outside or too early) | crashed.

    A resumed run goes on with the start and the seconds of its checkpoint; ``cost`` is that of the last attempt.

    Args:
        directory: where the files go.
        facts: plain data of the caller for the verdict: name, data, git, command, seed, notes … ``name``, ``data``,
            ``history`` (a sentence on how history is used) and ``next`` (the next step after an accepted run) also
            stand on the card. What the run itself finds out may be added to the attribute while it lasts.
        evidence: what the verdict rests on, asked for when the run ends and all files are written: plain data, as
            hashes of checkpoints, labels and code, by which a reader finds that they are others now.
        seal: verdict without its seal -> the text that seals it, by which a reader finds that it was changed.
        goes_on: (what ended the run, step) -> a sentence where the caller will continue it (the verdict is then
            *incomplete*, and no criterion is blamed), else None.
        limit: what ended the run -> a sentence where it is a limit of the machine, as a full disk, and no fault of the
            run (the verdict is then *incomplete* with exit code 2), else None.

    Attributes:
        status, exit_code: of the run; valid after ``fit`` returned or raised. Where Lightning spawns or forks the
            ranks, this object stays in the parent: read verdict.json there.
    """

    def __init__(
        self,
        directory: str | Path = "acceptance",
        facts: Mapping[str, Any] | None = None,
        goes_on: Callable[[BaseException, int], str | None] | None = None,
        evidence: Callable[[], Mapping[str, Any]] | None = None,
        seal: Callable[[Mapping[str, Any]], str] | None = None,
        limit: Callable[[BaseException], str | None] | None = None,
    ) -> None:
        self.directory = Path(directory)
        self.goes_on = goes_on
        self.evidence = evidence
        self.seal = seal
        self.limit = limit
        self._evidence: dict[str, Any] = {}
        self.facts = dict(facts or {})
        self.status, self.exit_code, self.reason = "incomplete", INCOMPLETE, UNFINISHED
        self.guards: list[Guard] = []
        self._started = self._first_started = datetime.now(UTC)  # of this attempt, and of the run's first
        self._steps = self._epochs = 0
        self._training_since: float | None = None
        self._training_seconds = 0.0
        self._seconds_before = 0.0  # of the attempts that a resumed run had before, up to the checkpoint it came from

    # --- Lightning --------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            self._end("incomplete", INCOMPLETE, UNFINISHED)
            rank_notes.note_of(self.directory, trainer.global_rank).unlink(missing_ok=True)  # of an earlier attempt
            self._collect(trainer)
            self._write(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._training_since = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_clock()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for guard in self.guards:
            guard.finish(trainer, pl_module)
        self._stop_clock()
        self._decide()
        self._publish(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return  # a crash of a later `test` says nothing about the run that was judged
        # No collective here: other ranks may be gone.
        self._collect(trainer)
        self._stop_clock()
        kind = type(exception).__name__
        goes_on = self.goes_on(exception, trainer.global_step) if self.goes_on is not None else None
        judges = [] if goes_on is not None else self.guards
        blamed = next((g for g in judges if g.policy == "fail" and g.attribute(exception)), None)
        if isinstance(exception, OwnFailure):
            blamed = next(guard for guard in self.guards if guard.name == exception.criterion)
        if goes_on is not None:
            self._end("incomplete", INCOMPLETE, goes_on)
        elif isinstance(exception, AcceptanceError):
            self._end(_status_of(exception.exit_code), exception.exit_code, str(exception))
        elif blamed is not None:
            self._end("rejected", blamed.exit_code, f"{blamed.name} failed: {blamed.message}")
        else:
            self._end_by(exception)
        agreed = isinstance(exception, AcceptanceError) and not isinstance(exception, OwnFailure)
        if trainer.world_size > 1 and goes_on is None and not agreed:
            self._compare_with_other_ranks(trainer, blamed)
        for guard in self.guards:
            if guard.status == "pending":
                guard.record("inconclusive", f"not judged, the run ended before ({kind})")
        self._publish(trainer)

    def _end_by(self, exception: BaseException) -> None:
        """What no criterion is to blame for."""
        if isinstance(exception, SIGTERMException):
            self._end("incomplete", SIGTERM, "SIGTERM: the scheduler or the user ended the run")
        elif isinstance(exception, Preempted):
            self._end("incomplete", INCOMPLETE, exception.reason)
        elif isinstance(exception, KeyboardInterrupt):
            self._end("incomplete", INCOMPLETE, "interrupted from the keyboard")
        elif self.limit is not None and (reached := self.limit(exception)) is not None:
            self._end("incomplete", LIMITED, reached)
        else:
            told = str(exception) if hasattr(exception, "exit_code") else f"{type(exception).__name__}: {exception}"
            self._end("crashed", exit_code_of(exception), told)

    def write_before_training(self, steps: int, ended_by: BaseException | None = None) -> None:
        """The verdict of a run that has no trainer yet: *incomplete*, or how it ended. ``steps``: of its attempts
        before."""
        self._steps = steps
        if ended_by is None:
            self._end("incomplete", INCOMPLETE, UNPREPARED)
        else:
            self._end_by(ended_by)
        self._save()

    def _compare_with_other_ranks(self, trainer: Trainer, blamed: Guard | None) -> None:
        """Take the reason of another rank's note, where this rank failed only because that one did."""
        if not trainer.is_global_zero:
            failure = None if blamed is None else [blamed.name, blamed.message]
            own = {"status": self.status, "exit_code": self.exit_code, "reason": self.reason, "failure": failure}
            write_json(rank_notes.note_of(self.directory, trainer.global_rank), own)
            return
        found = rank_notes.first_of_others(self.directory, trainer.world_size)
        if found is None or blamed is not None:
            return
        rank, note = found
        if self.status != "crashed" and note["exit_code"] == self.exit_code:
            return  # both got the same signal
        self._end(note["status"], note["exit_code"], f"rank {rank}: {note['reason']}")
        for guard in self.guards if note["failure"] else ():
            if guard.name == note["failure"][0]:
                guard.record("fail", f"rank {rank}: {note['failure'][1]}")

    def state_dict(self) -> dict[str, Any]:
        return {"started": self._first_started.isoformat(), "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seconds_before = float(state_dict["seconds"])
        self._first_started = datetime.fromisoformat(state_dict["started"])

    def _seconds(self) -> float:
        return self._seconds_before + (datetime.now(UTC) - self._started).total_seconds()

    # --- deciding ---------------------------------------------------------------------------------------------------

    def _collect(self, trainer: Trainer) -> None:
        found = [callback for callback in callbacks_of(trainer) if isinstance(callback, Guard)]
        self.guards = sorted(found, key=lambda guard: guard.number)

    def _end(self, status: str, exit_code: int, reason: str) -> None:
        self.status, self.exit_code, self.reason = status, exit_code, reason

    def _decide(self) -> None:
        counting = [guard for guard in self.guards if guard.policy == "fail"]
        failed = [guard for guard in counting if guard.status == "fail"]
        undecided = [g for g in counting if g.status in ("inconclusive", "pending") and not g.allow_inconclusive]
        # A run that stopped too early explains failures of other criteria; hence ``complete`` comes first.
        for guard in [*failed, *undecided]:
            self._end(_status_of(guard.exit_code), guard.exit_code, f"{guard.name}: {guard.message}")
            return
        passed = [guard.name for guard in counting if guard.status == "pass"]
        still_open = [guard.name for guard in counting if guard.status == "inconclusive"]
        text = f"{len(passed)} criteria passed, none failed"
        if still_open:
            text += f"; not decided, and allowed to be: {', '.join(still_open)}"
        if passed:
            self._end("accepted", ACCEPTED, text)
        else:
            self._end("rejected", CRASHED, "no criterion was judged: nothing is known about this run")

    # --- writing ----------------------------------------------------------------------------------------------------

    def verdict(self) -> dict[str, Any]:
        """The verdict as plain data: the content of verdict.json."""
        verdict = {
            "schema": 1,
            "status": self.status,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "next": self._next_step(),
            "started": self._first_started.isoformat(timespec="seconds"),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self._seconds(), 1),
            "steps": self._steps,
            "epochs": self._epochs,
            "criteria": [{name: getattr(guard, name) for name in ENTRY} for guard in self.guards],
            "cost": self._cost(),
            "facts": self.facts,
            "versions": {"torch": torch.__version__, "lightning": lightning.__version__},
            "evidence": self._evidence,
        }
        verdict = plain(verdict)
        return verdict if self.seal is None else {**verdict, "seal": self.seal(verdict)}

    def card(self) -> str:
        """The verdict in plain text, one line per criterion."""
        return card(self.verdict())

    def _next_step(self) -> str:
        if self.status == "accepted":
            return str(self.facts.get("next", "Compare it with other accepted runs."))
        hints = [g.hint for g in self.guards if g.exit_code == self.exit_code and g.status in ("fail", "inconclusive")]
        if hints:
            return hints[0]
        if self.exit_code == LIMITED:
            return "Do what the reason says, and start the run again: it goes on where it was saved."
        if self.status == "incomplete":
            return "Start the run again; what was prepared is re-used."
        return "Read the traceback."

    def _cost(self) -> dict[str, Any]:
        """Host seconds in the guards' hooks of training steps, their share of the training time, and the seconds that
        they took at the start, in validation and at the end."""
        by_guard = {guard.name: round(guard.seconds - guard.waited, 4) for guard in self.guards}
        training, waited = self._seconds_so_far(), sum(guard.waited for guard in self.guards)
        total = sum(by_guard.values())
        share = round(total / training, 5) if training else None
        apart = round(sum(guard.seconds_apart for guard in self.guards), 3)
        return {"training_seconds": round(training, 3), "guard_seconds": round(total, 4), "share": share,
                "seconds_apart": apart,
                "waited_for_device_seconds": round(waited, 4), "by_guard": by_guard}  # fmt: skip

    def _seconds_so_far(self) -> float:
        running = 0.0 if self._training_since is None else time.perf_counter() - self._training_since
        return self._training_seconds + running

    def _stop_clock(self) -> None:
        self._training_seconds, self._training_since = self._seconds_so_far(), None

    def _write(self, trainer: Trainer) -> None:
        self._steps, self._epochs = trainer.global_step, trainer.current_epoch
        if trainer.is_global_zero:
            self._save()

    def _save(self) -> None:
        verdict = self.verdict()
        write_json(self.directory / "verdict.json", verdict)
        write_atomic(self.directory / "verdict.md", markdown(verdict))

    def _publish(self, trainer: Trainer) -> None:
        if self.evidence is not None and trainer.is_global_zero:
            self._evidence = dict(self.evidence())
        self._write(trainer)
        accepted = self.status == "accepted"
        numbers = {"acceptance/accepted": float(accepted), "acceptance/exit_code": float(self.exit_code)}
        for guard in self.guards:
            if guard.status in ("pass", "fail"):
                numbers[f"acceptance/{guard.name}"] = float(guard.status == "pass")
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=trainer.global_step)


def _status_of(exit_code: int) -> str:
    """Of a criterion that failed."""
    return "incomplete" if exit_code == INCOMPLETE else "rejected"
