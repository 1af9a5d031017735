"""The anchors whose futures a sample shows in an epoch.

The public WoTE draws from one generator inside the target builder: every worker and rank holds an identical copy that
starts anew each epoch, so neither the sequence nor what a sample sees can be reproduced with another number of workers.
Both modes therefore draw by (seed, epoch, token); ``compat`` differs in what is painted, not in the draw.
"""

from __future__ import annotations

import hashlib

import numpy as np


def sampled_anchors(token: str, epoch: int, num_anchors: int, num_sampled: int, seed: int = 0) -> np.ndarray:
    """(num_sampled,) int64 distinct indices below ``num_anchors``; a pure function of its arguments."""
    digest = hashlib.blake2b(f"{seed}/{epoch}/{token}".encode(), digest_size=8).digest()
    if num_sampled == 1:  # a 64-bit draw is uniform over any realistic count, and 20× cheaper than a new generator
        return np.array([int.from_bytes(digest, "little") % num_anchors])
    generator = np.random.default_rng(int.from_bytes(digest, "little"))
    return generator.choice(num_anchors, num_sampled, replace=False)
