"""The human filter of EPDMS: a violation that the human driver committed, too, does not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wotempo.pdm.epdms.scores import SUB_SCORES, ExtendedScores


def apply_human_filter(agent: ExtendedScores, human: ExtendedScores) -> ExtendedScores:
    """The agent's N rows with 1 for every sub-score in which the human's one row is exactly 0.

    The human is scored by itself, without history and without the PDM-Closed row (`score.human_scores`), so neither its
    comfort nor its progress triggers the filter; nor does its collision with a static object, which is 0.5. The agent's
    progress stays relative to what it was before.
    """
    if len(human.nc) != 1:
        raise ValueError(f"the filter takes one human row, not {len(human.nc)}")
    forgiven = {name: np.ones_like(agent.nc) for name in SUB_SCORES if getattr(human, name)[0] == 0}
    return replace(agent, **forgiven)
