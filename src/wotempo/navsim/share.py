"""A share of some logs: jobs with one share each make together what one job would make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wotempo.errors import UserError
from wotempo.navsim.schema import Scene


class Share(NamedTuple):
    """Every ``shards``-th log, from the one at place ``shard`` on."""

    shard: int
    shards: int

    @classmethod
    def asked(cls, shard: int | None, shards: int) -> Share:
        """Of a command's keys ``shard`` and ``shards``. UserError where they name none."""
        if shards < 1:
            raise UserError(f"shards is {shards}: set it to 1 or more")
        if shard is None and shards > 1:
            raise UserError(f"shards={shards} needs a shard from 0 to {shards - 1}, or --multirun")
        if not 0 <= (shard or 0) < shards:
            raise UserError(f"shard={shard} is none of shards={shards}; the first is 0")
        return cls(shard or 0, shards)

    def logs(self, scenes: Iterable[Scene]) -> frozenset[tuple[str, str]]:
        """Split and name of the share's logs, among those of ``scenes`` in their order."""
        met = dict.fromkeys((scene.log.split, scene.log.name) for scene in scenes)
        return frozenset(list(met)[self.shard :: self.shards])

    def of(self, parts: Sequence[list[Scene]]) -> list[list[Scene]]:
        """The share's parts, of parts that hold scenes of one log each."""
        logs = self.logs(part[0] for part in parts)
        return [part for part in parts if (part[0].log.split, part[0].log.name) in logs]


ALL = Share(0, 1)
