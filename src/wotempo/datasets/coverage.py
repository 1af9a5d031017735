"""The account of a split, asked for against here: tokens and logs that are absent, by the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wotempo.navsim.scenes import NOWHERE

NAMED = 200  # missing logs, at most, that are listed by their names


@dataclass(frozen=True)
class Coverage:
    """``found`` scenes of a split. ``listed``: tokens of its scene filter, None where it lists none. ``lost``: reason,
    as words behind a number, -> tokens or windows that are no scenes. ``here`` and ``missing``: logs that filter and
    log list name, those on this machine and the others. ``narrowed``: the log list or the dataset leaves out logs that
    the filter names."""

    split: str
    found: int
    listed: int | None
    lost: Mapping[str, int]
    here: tuple[str, ...]
    missing: tuple[str, ...]
    narrowed: bool
    unknown_velocities: int = 0  # of boxes; NaN in the log
    unread: Mapping[str, str] = field(default_factory=dict)  # log that is left out -> why it cannot be read
    repeated: int = 0  # listed tokens, beyond the first of each

    @property
    def reasons(self) -> dict[str, int]:
        """``lost``, with what is known of tokens whose log was not read."""
        found = dict(self.lost)
        count = found.pop(NOWHERE, 0)
        if not count:
            return found
        if not self.missing:  # tokens of another split's logs are not missed
            return found if self.narrowed else {NOWHERE: count, **found}
        where = f"in {len(self.missing)} logs that are missing"
        if self.narrowed:
            where += f", or in those that data.{self.split}.logs leaves out"
        return {where: count, **found}

    @property
    def to_fetch(self) -> tuple[str, ...]:
        """Missing logs that hold scenes. Where tokens are listed they decide: the devkit's log lists name more logs
        than a split holds."""
        return self.missing if self.listed is None or self.lost.get(NOWHERE) else ()

    def without(self, reason: str, count: int) -> Coverage:
        """After ``count`` scenes more were left out."""
        if not count:
            return self
        lost = {**self.lost, reason: self.lost.get(reason, 0) + count}
        return replace(self, found=self.found - count, lost=lost)

    @property
    def sentence(self) -> str:
        """What is lacking, in one line; empty where the split is whole."""
        reasons = self.reasons
        if not reasons and not self.to_fetch and not self.unread:
            return ""
        logs = f"{len(self.here)} of {len(self.here) + len(self.missing)} logs" if self.missing else ""
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        if self.listed is not None:
            text = (
                f"{self.found} of {self.listed} listed tokens are here{f' ({logs})' if logs else ''}; not here: {why}"
            )
        else:
            text = f"{self.found} scenes{f' of {logs}' if logs else ''}{f'; left out: {why}' if why else ''}"
        if self.unread:
            first = next(iter(self.unread.values()))
            many = f"{len(self.unread)} of {len(self.here)} logs"
            text += f"; {many} cannot be read and are left out, first {first}"
        return f"{self.split}: {text}"

    def say(self) -> None:
        """Print the sentence, if there is one."""
        if self.sentence:
            print(self.sentence, flush=True)
        if self.repeated:
            print(f"{self.split}: {self.repeated} tokens of the filter are listed twice: each counts once", flush=True)
        if self.unknown_velocities:
            text = f"{self.unknown_velocities} boxes have a velocity of NaN, which is read as 0: not known"
            print(f"{self.split}: {text}", flush=True)

    @property
    def missing_logs(self) -> str:
        """The names of the logs to fetch."""
        more = len(self.to_fetch) - NAMED
        return ", ".join(self.to_fetch[:NAMED]) + (f" and {more} more" if more > 0 else "")

    @property
    def figures(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {"scenes": self.found, "listed_tokens": self.listed, "lost": self.reasons}
        return found | {
            "logs_here": len(self.here),
            "missing_logs": list(self.to_fetch),
            "unknown_velocities": self.unknown_velocities,
            "unread_logs": dict(self.unread),
        }
