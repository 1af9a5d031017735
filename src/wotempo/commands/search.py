"""Search over keys of the configuration, by Optuna's ask and tell; it goes on where it stopped.

    wotempo search run      # ask, train, tell, one by one
    wotempo search ask      # print a trial's command
    wotempo search tell     # read what has ended: the table

Everything else configures the runs, as for wotempo train. A trial is a run of its own in
``runs/search_<name>/trial_<n>``, judged by the criteria; one that is not accepted counts as failed and cannot win.
Several processes may work on one search, and ``ask`` prints commands for a queue.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from wotempo.capacity.search_space import Space, read_space
from wotempo.command_line.entry import check_command_line, command
from wotempo.command_line.words import Option
from wotempo.config.checks import check_config
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.navsim.lock import is_locked, locked
from wotempo.program import by_path, shell_line
from wotempo.records.reading import METRICS_FILE, Damaged, read_metrics, read_verdict, spared
from wotempo.report.marks import MARKS, marks
from wotempo.report.terminal import console
from wotempo.runs.listing import differing, flat, listed
from wotempo.runs.provenance import settings
from wotempo.runs.unfinished import FINISHED, LOCK

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

ACTIONS = ("run", "ask", "tell")
OPTIONS = (
    Option("search", "str", "learning", "configs/search/<name>.yaml: the keys, their ranges, the metric"),
    Option("trials", "int", "20", "runs that the search consists of"),
)
OVERRIDES = "overrides"
DAMAGED = "damaged"
ENDS = (*FINISHED, "crashed", DAMAGED)  # a killed run is incomplete, and goes on


def parse(arguments: list[str]) -> tuple[str, dict[str, str], list[str]]:
    """-> action, options of the search, overrides of its runs."""
    if not arguments or arguments[0] not in ACTIONS:
        raise UserError(f"say first what to do: {', '.join(ACTIONS)}")
    pairs = [argument.partition("=") for argument in arguments[1:]]
    ours = {option.name: str(option.default) for option in OPTIONS}
    options = ours | {key: value for key, _, value in pairs if key in ours}
    if not options["trials"].isdigit() or int(options["trials"]) < 1:
        raise UserError(f"trials is '{options['trials']}': set it to 1 or more")
    return arguments[0], options, [f"{k}{sign}{v}" for k, sign, v in pairs if k not in ours]


class Search:
    """A study on disk, and the folders of its runs."""

    def __init__(self, space: Space, given: list[str], root: Path) -> None:
        """``given``: overrides of every run. UserError where Optuna is missing or the study is of another metric."""
        if find_spec("optuna") is None:
            raise UserError('a search needs Optuna: pip install "wotempo[search]"')
        self.space, self.given = space, given
        self.root = root / f"search_{space.name}"
        self.study = self._study()

    def _study(self) -> Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.root.mkdir(parents=True, exist_ok=True)
        journal = self.root / "study.log"
        try:
            study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal))),
                study_name=self.space.name,
                direction=cast(Any, self.space.direction),
                load_if_exists=True,
            )
        except Exception as error:  # Optuna plays back what the file says, whatever that is
            why = (str(error).splitlines() or [""])[0][:120]
            raise Damaged(f"{journal} cannot be read ({why}): copy it anew, or rename the search") from error
        theirs = study.user_attrs.get("metric", self.space.metric)
        if theirs != self.space.metric or study.direction.name.lower() != self.space.direction:
            raise UserError(f"{self.root} searches by {theirs}: rename the search, or remove that folder")
        study.set_user_attr("metric", self.space.metric)
        return study

    def require_same_settings(self, ours: RunConfig) -> None:
        """UserError where the study holds trials of another space, or whose runs differ from ``ours``, a trial that
        would be asked for now, in anything but the keys of the space: they do not belong into one table."""
        from optuna.distributions import CategoricalDistribution

        seen: set[tuple[str, ...]] = set()
        for trial in self.study.get_trials(deepcopy=False):
            if OVERRIDES not in trial.user_attrs:  # the process that asked for it was killed meanwhile
                continue
            keys, before = set(self.space.keys), trial.distributions
            differs = [f"it searched {key}" for key in sorted(before.keys() - keys)]
            differs += [f"it did not search {key}" for key in sorted(keys - before.keys())]
            for key, options in self.space.keys.items():
                kind = before.get(key)
                if isinstance(kind, CategoricalDistribution) and list(kind.choices) != options.get("choices"):
                    differs.append(f"{key} was one of {', '.join(map(str, kind.choices))}")
            words = tuple(word for word in trial.user_attrs[OVERRIDES] if _key(word) not in keys)
            if not differs and words not in seen:
                seen.add(words)
                (theirs,) = check_command_line("train", check_config, [*words, *self.space.corners()[0]])
                differs = differing(_settings(theirs), _settings(ours))
            if differs:
                raise UserError(
                    f"{self.root} holds trials of other settings ({listed(differs)}): type the same keys again, or "
                    f"search under another name (search=<a copy of {self.space.name}.yaml>), or remove that folder"
                )

    def ask(self) -> FrozenTrial:
        import optuna

        # As many trials, as many seeds: a search that was interrupted must not draw its first trials once more.
        self.study.sampler = optuna.samplers.TPESampler(seed=len(self.study.get_trials(deepcopy=False)))
        trial = self.study.ask()
        trial.set_user_attr(OVERRIDES, [*self.given, *self.space.suggest(trial)])
        return self.study.get_trials()[trial.number]

    def folder(self, trial: FrozenTrial) -> Path:
        return self.root / f"trial_{trial.number}"

    def train(self, trial: FrozenTrial) -> list[str]:
        """The command of a trial's run."""
        where = [f"hydra.run.dir={self.folder(trial)}", "reuse=true", "test=false"]
        return by_path("train", *trial.user_attrs[OVERRIDES], *where)

    def open(self) -> list[FrozenTrial]:
        """Trials that were asked for and have no result yet."""
        return [trial for trial in self.study.get_trials() if trial.state.name == "RUNNING"]

    def verdict(self, trial: FrozenTrial) -> dict[str, Any] | None:
        """Of a trial's run; one that cannot be read is of the status ``damaged``, which ends the trial."""
        try:
            return read_verdict(self.folder(trial))
        except Damaged as damage:
            return {"status": DAMAGED, "reason": str(damage)}

    def tell(self) -> None:
        """Give the study the results of trials that have ended. A run that was not accepted has failed, and so has one
        whose files cannot be read."""
        import optuna

        for trial in self.open():
            verdict = self.verdict(trial)
            if verdict is None or verdict["status"] not in ENDS or is_locked(self.folder(trial) / LOCK):
                continue
            if verdict["status"] == DAMAGED:
                print(f"passed over: {verdict['reason']}", flush=True)
            if verdict["status"] != "accepted":
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                continue
            notes: list[str] = []
            metrics = spared(self.folder(trial) / METRICS_FILE, read_metrics, dict[str, float](), notes)
            if notes:
                print(notes[0], flush=True)
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                continue
            if self.space.metric not in metrics:
                known = ", ".join(sorted(name for name in metrics if name.startswith("val/")))
                raise UserError(f"runs have no metric '{self.space.metric}': choose one of {known}")
            self.study.tell(trial.number, metrics[self.space.metric])

    def next(self, trials: int) -> FrozenTrial | None:
        """An interrupted trial that no process holds, else a new one; None when there are ``trials`` of them."""
        for trial in self.open():
            if not is_locked(self._lock(trial)) and not is_locked(self.folder(trial) / LOCK):
                return trial
        return self.ask() if len(self.study.get_trials(deepcopy=False)) < trials else None

    def run(self, trials: int) -> int:
        """-> 0 where one was accepted, else 1. Interrupted, it is to be started again."""
        while (trial := self.next(trials)) is not None:
            with locked(self._lock(trial), str(self.folder(trial))):
                print(f"trial {trial.number}: {shown(trial.params)}", flush=True)
                code = subprocess.run(self.train(trial), check=False).returncode
            self.tell()
            verdict = self.verdict(trial)
            if verdict is None or verdict["status"] not in ENDS:
                print(f"trial {trial.number} has not ended (code {code}): type the same again to go on", flush=True)
                return code or 1
        return 0 if self.accepted() else 1

    def _lock(self, trial: FrozenTrial) -> Path:
        return self.root / f"trial_{trial.number}.lock"

    def accepted(self) -> list[FrozenTrial]:
        """The best first."""
        found = [trial for trial in self.study.get_trials() if trial.state.name == "COMPLETE"]
        return sorted(found, key=lambda t: t.value or 0.0, reverse=self.space.direction == "maximize")

    def marked(self) -> bool:
        verdicts = [self.verdict(trial) for trial in self.study.get_trials(deepcopy=False)]
        return any(marks(verdict) for verdict in verdicts if verdict is not None)

    def table(self) -> Table:
        """Accepted trials, the best first; then the others, with what became of them."""
        accepted = self.accepted()
        others = [t for t in self.study.get_trials() if t.number not in {a.number for a in accepted}]
        better = "lower" if self.space.direction == "minimize" else "higher"
        view = Table(title=f"search {self.space.name}: by {self.space.metric}, {better} is better; one run a trial")
        for column in ("trial", "verdict", self.space.metric, *self.space.keys):
            view.add_column(column, justify="left" if column == "verdict" else "right", overflow="fold")
        for trial in (*accepted, *others):
            verdict = self.verdict(trial)
            status = f"{verdict['status']}{marks(verdict)}" if verdict else "not begun"
            value = "–" if trial.value is None else f"{trial.value:.4f}"
            cells = [_short(trial.params.get(key)) for key in self.space.keys]
            view.add_row(str(trial.number), status, value, *cells)
        return view


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _settings(config: RunConfig) -> dict[str, Any]:
    """What runs are computed and judged by."""
    return flat(settings(config)) | flat(config.acceptance, "acceptance.")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shown(params: dict[str, Any]) -> str:
    return " ".join(f"{key}={_short(value)}" for key, value in params.items())


@command("run|ask|tell [keys of wotempo train …]", OPTIONS)
def main(arguments: list[str], root: Path = Path("runs")) -> int:
    """-> the exit code: 0, 1 where no trial was accepted (run), 2 for bad input."""
    action, options, given = parse(arguments)
    space = read_space(options["search"])
    checked = [check_command_line("train", check_config, [*given, *corner]) for corner in space.corners()]
    search = Search(space, given, root)
    for ours in checked[0]:
        search.require_same_settings(ours)
    if action == "ask":
        print(shlex.join(search.train(search.ask())))
        return 0
    search.tell()
    code = search.run(int(options["trials"])) if action == "run" else 0
    console(width=120).print(search.table(), *([MARKS] if search.marked() else []))
    if best := search.accepted()[:1]:
        print(f"best: trial {best[0].number}; three seeds of it: {again(space, best[0])}")
    return code


def again(space: Space, best: FrozenTrial) -> str:
    """The winner of a search is one run, chosen among many: what to type for a result. With every key of its run."""
    keys = [word for word in best.user_attrs[OVERRIDES] if _key(word) not in ("seed", "test", "reuse")]
    words = ["--multirun", *keys, "seed=0,1,2", "test=true", "reuse=true"]
    return shell_line("train", *words, f"hydra.sweep.dir=runs/{space.name}_winner")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
