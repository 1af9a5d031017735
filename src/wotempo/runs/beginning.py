"""The verdict of a run before its training: *incomplete* from the moment in which its folder is claimed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from callbacks import AcceptanceReport
from wotempo.config.schema import RunConfig
from wotempo.endings import unimportable
from wotempo.errors import UserError
from wotempo.records.seal import seal_of
from wotempo.runs.facts import facts_before
from wotempo.runs.out_of_memory import FACT
from wotempo.runs.unfinished import Claim
from wotempo.system_errors import refusal


@contextmanager
def beginning(config: RunConfig, identity: str, claim: Claim) -> Iterator[None]:
    """Inside, a run is prepared and built: a verdict says so, so that a killed preparation leaves one; whatever ends it
    is written down before it goes on its way. Facts of the attempts before stay."""
    if getattr(rank_zero_only, "rank", 0) != 0:
        yield
        return
    facts = {**claim.facts, **facts_before(config, identity)}
    if claim.resumed:
        facts |= {"resumed": claim.resumed, FACT: claim.out_of_memory}
        facts["command"] = claim.command or facts["command"]
    report = AcceptanceReport(Path(config.run_dir), facts=facts, seal=seal_of, limit=_sentence)
    report.write_before_training(claim.step)
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # a full disk: what was written first stays
            report.write_before_training(claim.step, error)
        raise


def _sentence(error: BaseException) -> str | None:
    """Of what a user or an administrator can mend."""
    return str(error) if isinstance(error, UserError) else refusal(error) or unimportable(error)
