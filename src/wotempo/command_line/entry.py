"""The frame around the work of every command: check the overrides first, and turn the outcome, or the exception that
ended it, into a sentence and an exit code.

In a multirun an unaccepted job must not abort the sweep, so codes other than 1 exist in single runs only.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wotempo.command_line.flags import Line, read_line
from wotempo.command_line.help import help_of_folders, help_of_keys
from wotempo.command_line.renamed import with_present_names
from wotempo.command_line.table import HELP, show
from wotempo.command_line.words import Option
from wotempo.config.composition import compose_checked, loaded, swept
from wotempo.config.sweeps import Asked, asked_jobs
from wotempo.endings import ended_by
from wotempo.errors import UserError
from wotempo.runs.asked import write_end

Checked = TypeVar("Checked")
SWEEPER, SPLIT = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", "split_arguments"


def check_jobs(
    config_name: str, check: Callable[[DictConfig], Checked], line: Line
) -> tuple[list[Asked], list[Checked]]:
    """Compose and check every job of the command line before anything is loaded -> the jobs of a sweep, none of a
    single run; and what ``check`` returns of each job."""
    if line.shows:
        return [], []
    with loaded(line.config_dir):
        if line.multirun:
            jobs = asked_jobs(config_name, line.overrides)
            return [job for job, _ in jobs], [check(_checkable(config)) for _, config in jobs]
        if swept(line.overrides):
            raise UserError("several values for one key are a sweep: add --multirun")
        return [], [check(_checkable(compose_checked(config_name, line.overrides)))]


def _checkable(config: DictConfig) -> DictConfig:
    if "run_dir" in config:
        OmegaConf.update(config, "run_dir", "unset")  # known only once Hydra runs
    return config


def check_command_line(config_name: str, check: Callable[[DictConfig], Checked], argv: list[str]) -> list[Checked]:
    """What ``check`` returns of each job of a command line that this process does not run itself."""
    return check_jobs(config_name, check, read_line(argv))[1]


@contextmanager
def only(jobs: list[Asked]) -> Iterator[None]:
    """Inside, Hydra's sweeper hands out these jobs, with their folders, in place of those that it would make of the
    command line: what runs is what was checked and listed. (By itself it cannot take ``~key``, and lets two jobs have
    one folder.)"""
    # The class that Hydra's plugins hold: they load its module anew, so that an import gives another one.
    sweeper: Any = Plugins.instance().class_name_to_class[SWEEPER]
    before, words = vars(sweeper)[SPLIT], [job.for_hydra() for job in jobs]
    setattr(sweeper, SPLIT, staticmethod(lambda _, size: list(sweeper.split_overrides_to_chunks(words, size))))
    try:
        yield
    finally:
        setattr(sweeper, SPLIT, before)


def quieten() -> None:
    """Lightning's advice and its notes to itself are not what a run should print."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # the cache is memory-mapped
    # A job is one process and needs no srun; neither does a run on a login node.
    warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used.*")
    # It looks at the loader only; here the data module knows the position (NavsimDataModule.state_dict).
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")


def helped_or_done(words: Sequence[str], text: Callable[[], str], work: Callable[[], int]) -> int:
    """The frame of every command: its help ``text``, where ``words`` ask for it, or its ``work`` -> the exit code.
    No exception leaves it."""
    if not gc.isenabled():  # all was imported (dispatch.py), and stays
        gc.freeze()
        gc.enable()
    try:
        if any(word in HELP for word in words):
            show(text())
            return 0
        return work()
    except (Exception, KeyboardInterrupt) as error:
        return ended_by(error)


def command(
    takes: str, options: Sequence[Option] = (), configuration: tuple[str, type] | None = None
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Of a main without Hydra, from a list of words to an exit code, that may raise UserError or be interrupted.

    Args, all for its help:
        takes: its words beside the options.
        options: each ``name=value`` that it knows.
        configuration: in place of these the name and the schema of a yaml that it composes.
    """

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @wraps(main)
        def safely(words: list[str], *arguments: Any, **keywords: Any) -> int:
            def text() -> str:
                module = sys.modules[main.__module__]
                if configuration is None:
                    return help_of_folders(module, takes, options)
                own = {field.name for field in fields(configuration[1])}
                given = [word for word in words if re.split(r"[.=]", word)[0] in own]
                return help_of_keys(module, *configuration, given, takes)

            return helped_or_done(words, text, partial(main, words, *arguments, **keywords))

        return safely

    return decorate


def run(
    config_name: str, schema: type, check: Callable[[DictConfig], object], work: Callable[[DictConfig], int]
) -> None:
    """The main of a Hydra command. ``schema``: the dataclass of its keys, for its help. ``work`` returns an exit code;
    a UserError exits 2. In a multirun a job that is not accepted lets the others run, and the command exits 1."""
    quieten()
    typed = sys.argv[1:] = with_present_names(config_name, sys.argv[1:])
    codes: list[int] = []

    @hydra.main(version_base="1.3", config_path="pkg://wotempo.configs", config_name=config_name)
    def job(config: DictConfig) -> int:
        sys.argv[1:] = typed  # as runs record it
        sweeps, reason = HydraConfig.get().mode == RunMode.MULTIRUN, ""
        try:
            codes.append(work(config))
        except Exception as error:
            codes.append(ended_by(error, Path(config.run_dir) if "run_dir" in config else None))
            reason = str(error) or type(error).__name__
        if sweeps:
            own = config.run_dir if "run_dir" in config else HydraConfig.get().runtime.output_dir
            write_end(Path(own), codes[-1], reason)
            if codes[-1] != 0:
                print(f"this job ended with code {codes[-1]}; the sweep goes on")
        return codes[-1]

    def sweep(asked: list[Asked]) -> int:
        from wotempo.runs.sweep import SweepTable  # draws and compares: a single run needs none of that

        SweepTable.asked, SweepTable.worst = asked, None
        with only(asked):
            job()
        ran = len(codes) == len(asked) and not any(codes)
        return SweepTable.worst if SweepTable.worst is not None else int(not ran)

    def checked() -> int:
        line = read_line(typed)
        asked, _ = check_jobs(config_name, check, line)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints a traceback itself, and exits
        sys.argv[1:] = line.words
        try:
            if line.multirun:
                return sweep(asked)
            job()
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(f"cannot read the command line: {str(error).splitlines()[0]}") from None
        return codes[-1] if codes else 0

    text = partial(help_of_keys, sys.modules["__main__"], config_name, schema, typed)
    sys.exit(helped_or_done(typed, text, checked))
