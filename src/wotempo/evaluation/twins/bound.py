"""The bound of a pair of twins: what the best choice among the anchors scores without history, and with it.

Both scenes of a pair have one current frame. A planner that sees no more takes one anchor for both, the *blind* choice;
one that knows the history may take another anchor in each. What knowing adds is the *headroom*.
"""

from __future__ import annotations

import numpy as np

SCORES = ("nc", "dac", "ep", "ttc", "comfort", "pdms")  # the rows of an anchor's scores (wotempo.pdm.alone.ROWS)
PDMS = SCORES.index("pdms")
COLLISIONS = ("nc", "ttc")


def bound_of(scores_msn: np.ndarray) -> dict[str, float]:
    """scores_msn (2, len(SCORES), N): both scenes of a pair, all anchors -> means over both scenes.

    ``blind`` and ``knowing``: PDMS of the best anchor for both, and of the best of each. ``blind_nc``, ``knowing_nc``,
    and so for TTC: that sub-score of these same anchors. ``most_blind_nc``, …: the most that any choice reaches of it.
    """
    if not np.isfinite(scores_msn).all():
        raise ValueError("some scores of anchors are not finite: leave the pair out")
    pdms_mn = scores_msn[:, PDMS]
    both = int(pdms_mn.mean(0).argmax())
    each = pdms_mn.argmax(1)
    found = {"blind": float(pdms_mn[:, both].mean()), "knowing": float(pdms_mn.max(1).mean())}
    for name in COLLISIONS:
        values_mn = scores_msn[:, SCORES.index(name)]
        found[f"blind_{name}"] = float(values_mn[:, both].mean())
        found[f"knowing_{name}"] = float(values_mn[[0, 1], each].mean())
        found[f"most_blind_{name}"] = float(values_mn.mean(0).max())
        found[f"most_knowing_{name}"] = float(values_mn.max(1).mean())
    return found
