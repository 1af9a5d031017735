"""The table of a split's pairs: one row a pair, with its bound and what one driver makes of it.

Columns: driver, pair, kind, split, district, valid; those of ``bound_of``; ``pdms``, the mean over both scenes of the
driven plans, ``swapped``, the same with the two plans exchanged, ``one_plan`` (bool) where both are one; ``chosen``,
the mean PDMS of the very anchors from which the plans were made; those of ``pair_accuracy``. NaN where a driver has
none of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from wotempo.datasets import Progress
from wotempo.evaluation.scoring import score_all
from wotempo.evaluation.twins.anchor_scores import AnchorScores
from wotempo.evaluation.twins.bound import PDMS, bound_of
from wotempo.evaluation.twins.measures import as_one, pair_accuracy
from wotempo.evaluation.twins.readings import AnchorReadings
from wotempo.navsim import DataPaths
from wotempo.navsim.twins import Pair
from wotempo.pdm.evaluation import NO_PLAN, Plan
from wotempo.preparation.twin_pairs import TwinSplit

OWN, SWAPPED = "own", "swapped"


def bound_rows(twins: TwinSplit, anchors: AnchorScores) -> pd.DataFrame:
    """What is known before anything is trained: the bound of each pair whose scenes can be scored."""
    rows = []
    for pair in twins.pairs:
        about = {"pair": pair.name, "kind": pair.kind, "split": pair.split, "district": pair.district}
        if not any(token in anchors.failed for token in pair.tokens):
            rows.append({**about, **bound_of(np.stack([anchors.scores[token] for token in pair.tokens]))})
    left_out = len(twins.pairs) - len(rows)
    if left_out:
        token, why = next(iter(anchors.failed.items()))
        print(f"twins: {left_out} of {len(twins.pairs)} pairs cannot be scored, first scene {token}: {why}", flush=True)
    return pd.DataFrame(rows)


def driven_rows(
    driver: str,
    twins: TwinSplit,
    anchors: AnchorScores,
    plans: Mapping[str, Plan],
    readings: AnchorReadings | None,
    paths: DataPaths,
    workers: int,
    progress: Progress,
) -> pd.DataFrame:
    """The table of one driver, of all pairs in ``bound_rows``. ``plans``: token -> (8, 3) poses or why there are none;
    ``readings``: of the planner that made them."""
    rows = bound_rows(twins, anchors)
    pairs = [pair for pair in twins.pairs if pair.name in set(rows["pair"])]
    ways, one = _ways(pairs, plans)
    scenes = [scene for token, scene in twins.scenes.items() if token in ways[OWN]]
    scored = score_all(workers, "pdms", [], paths, scenes, ways, progress).set_index(["driver", "token"])
    found = []
    for pair in pairs:
        own, swapped = (scored.loc[[(way, token) for token in pair.tokens]] for way in ways)
        valid = bool(own["valid"].all() and swapped["valid"].all())
        found.append({"driver": driver, "valid": valid, "pdms": own["score"].mean(), "swapped": swapped["score"].mean(),
                      "one_plan": one[pair.name], **_read(pair, anchors, readings)})  # fmt: skip
    return pd.concat((rows, pd.DataFrame(found)), axis=1)


def _ways(pairs: list[Pair], plans: Mapping[str, Plan]) -> tuple[dict[str, dict[str, Plan]], dict[str, bool]]:
    """The plans of both scenes as they were made, and exchanged; and which pairs have one plan. Of those both scenes
    get the very same one, so that exchanging it changes nothing."""
    ways: dict[str, dict[str, Plan]] = {OWN: {}, SWAPPED: {}}
    one = dict[str, bool]()
    for pair in pairs:
        a, b = (plans.get(token, NO_PLAN) for token in pair.tokens)
        one[pair.name] = not isinstance(a, str) and not isinstance(b, str) and as_one(a, b)
        if one[pair.name]:
            b = a
        ways[OWN] |= dict(zip(pair.tokens, (a, b), strict=True))
        ways[SWAPPED] |= dict(zip(pair.tokens, (b, a), strict=True))
    return ways, one


def _read(pair: Pair, anchors: AnchorScores, readings: AnchorReadings | None) -> dict[str, float]:
    truth_msn = np.stack([anchors.scores[token] for token in pair.tokens])
    found = dict.fromkeys(("chosen", "accuracy", "accuracy_nc", "accuracy_ttc"), np.nan) | {"cases": 0.0}
    if readings is None:
        return found
    if all(token in readings.chosen for token in pair.tokens):
        chosen = [readings.chosen[token] for token in pair.tokens]
        found["chosen"] = float(truth_msn[[0, 1], PDMS, chosen].mean())
    if all(token in readings.scores for token in pair.tokens):
        found |= pair_accuracy(truth_msn, np.stack([readings.scores[token] for token in pair.tokens]))
    return found
