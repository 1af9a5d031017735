"""A command line of Hydra's: its overrides and its flags, read by Hydra's own parser."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from wotempo.errors import UserError

# Flags that are refused, and what to type in their place.
REFUSED = {
    "config_name": "every command has its own configuration: name a group's option, or give --config-dir=<folder>",
    "config_path": "the project's yamls stay: a folder with further ones is --config-dir=<folder>",
    "experimental_rerun": "it would run what a pickle says: make resume RUN=<folder> goes on with a run",
}
SHOWING = ("cfg", "info", "hydra_help")


@dataclass(frozen=True)
class Line:
    """``shows``: Hydra prints something (``--cfg job``, ``--info``, ``--hydra-help``) and nothing runs."""

    overrides: list[str]
    flags: list[str]
    multirun: bool
    config_dir: str | None
    shows: bool

    @property
    def words(self) -> list[str]:
        """The line with its flags first, as Hydra takes it."""
        return [*self.flags, *self.overrides]


def read_line(words: Sequence[str]) -> Line:
    """Flags may stand anywhere. UserError for a flag that there is not, or that is not for this program."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign] # else it prints its usage, and exits
    given = parser.parse_intermixed_args(list(words))
    for name, instead in REFUSED.items():
        if getattr(given, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} is not taken: {instead}")
    modes = [flag for flag in ("run", "multirun", "cfg", "info") if getattr(given, flag)]
    if len(modes) > 1:
        raise UserError(f"--{modes[0]} and --{modes[1]} exclude each other: leave one out")
    if given.resolve and given.cfg is None:
        raise UserError("--resolve belongs to --cfg job: give both, or neither")
    shows = any(getattr(given, name) for name in SHOWING)
    return Line(given.overrides, _flags(given), given.multirun, given.config_dir, shows)


def _flags(given: Namespace) -> list[str]:
    flags = []
    for name, value in vars(given).items():
        if name != "overrides" and value not in (None, False):
            flag = f"--{name.replace('_', '-')}"
            flags.append(flag if value is True else f"{flag}={value}")
    return flags


def _refuse(message: str) -> NoReturn:
    raise UserError(
        f"cannot read the command line: {message}; flags are --help, --multirun, --config-dir=<folder>, --cfg=job "
        "(with --resolve, --package=<key>), --info, --hydra-help"
    )
