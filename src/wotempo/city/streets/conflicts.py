"""The conflicts between the connectors of a junction, and their rules of priority."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from wotempo.city.streets.layout import PRIORITY, ROUNDABOUT, Node
from wotempo.city.streets.network import LEFT, RIGHT, STRAIGHT, Conflict, Element

BODY = 3.3  # paths closer than this cannot be driven side by side: 2.3 m of width, swing-out of the front, a margin
SIBLING = 2.9  # the same for two ways out of one lane, which part at a small angle


def find_conflicts(node: Node, connectors: list[int], elements: list[Element], arm_of: dict[int, int]) -> Conflict:
    """``arm_of``: connector -> the arm that it comes in on."""
    n = len(connectors)
    clear, reach = np.full((n, n), -np.inf), np.full((n, n), np.inf)
    yields, diverge = np.zeros((n, n), bool), np.zeros((n, n))
    lines = [elements[c].line for c in connectors]
    ranks = [_rank(node, arm_of[c], elements[c].turn) for c in connectors]
    for a in range(n):
        for b in range(a + 1, n):
            distance = cdist(lines[a].points[::2], lines[b].points[::2])
            sibling = elements[connectors[a]].before == elements[connectors[b]].before
            near = distance < (SIBLING if sibling else BODY)
            if not near.any():
                continue
            for me, you, touched in ((a, b, near.any(1)), (b, a, near.any(0))):
                s = lines[me].s[::2][touched]
                if sibling:
                    # they drive one behind the other until their ways part for the first time
                    diverge[me, you] = lines[me].s[::2][np.argmin(touched)] if not touched.all() else lines[me].length
                else:
                    clear[me, you], reach[me, you] = s[-1] + 1.0, s[0]
                    yields[me, you] = ranks[me] > ranks[you]
    return Conflict(np.array(connectors), clear, reach, yields, diverge)


def _rank(node: Node, arm: int, turn: str) -> int:
    """The lower goes first."""
    if node.control == ROUNDABOUT:
        return 0
    minor = node.control == PRIORITY and node.arms[arm].phase == 1
    if minor:
        return {RIGHT: 2, STRAIGHT: 3, LEFT: 4}[turn]
    return {STRAIGHT: 0, RIGHT: 0, LEFT: 1}[turn]
