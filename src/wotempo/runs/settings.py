"""The configuration of a run folder beside the present one: which keys differ, and in what."""

from __future__ import annotations

from pathlib import Path

from wotempo.config.schema import RunConfig, typed
from wotempo.config.stored import stored
from wotempo.errors import UserError
from wotempo.runs.identity import FILES, criteria_of, read_identity
from wotempo.runs.listing import differing, flat, shown
from wotempo.runs.provenance import settings

PLACES = (*FILES, "data.root", "data.maps", "data.anchors", "data.labels", "data.cache")
"""Keys that say where something lies: not the name of a file counts, but its content (wotempo.runs.identity)."""

YOUNGER = {"acceptance.plan.by": "ade"}
"""Options of criteria that older runs were not asked for, and what they meant by that."""


def other_settings(run: Path, config: RunConfig, by_place: bool) -> list[str] | None:
    """What differs between the configuration of the folder ``run`` and ``config``, of what changes what is computed.
    ``by_place``: with the keys of PLACES, where no content is known to compare. None where the folder has no
    configuration that can be read."""
    try:
        there = typed(stored(run))
    except UserError:
        return None
    pairs = [flat(settings(of)) for of in (there, config)]
    for pair in pairs:
        for key in PLACES:
            value = pair.pop(key, None)
            if by_place and value is not None:
                pair[key] = str(Path(value).resolve())
    return differing(*pairs)


def other_criteria(run: Path, config: RunConfig) -> list[str]:
    """What differs in the success criteria; none where the folder does not say by which it was judged."""
    theirs = read_identity(run).get("criteria")
    if theirs is None:  # of runs from before
        try:
            theirs = criteria_of(typed(stored(run)))
        except UserError:
            return []
    ours = criteria_of(config)
    known = {key.split(".")[1] for key in theirs}
    # A criterion that came later and is switched off judges what the run was judged by: nothing.
    off = {name for name, options in config.acceptance.items() if options.get("policy") == "off"} - known
    as_before = {key for key, value in YOUNGER.items() if ours.get(key) == shown(value)} - theirs.keys()
    left_out = {key for key in ours if key.split(".")[1] in off} | as_before
    return differing(theirs, {key: value for key, value in ours.items() if key not in left_out})
