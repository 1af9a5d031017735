"""Anchors: typical futures, as cluster centres of driven ones."""

from __future__ import annotations

import numpy as np

from wotempo.errors import UserError

BATCH_SIZE = 1000


def cluster_anchors(futures: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """``count`` anchors (count, 8, 3) float32 from futures (M, 8, 3), with k-means on all 24 numbers as WoTE does.

    Deterministic for equal futures in equal order. Raises UserError when there are fewer futures than anchors.
    """
    futures = np.asarray(futures, np.float64)
    if len(futures) < count:
        raise UserError(f"{len(futures)} futures cannot make {count} anchors; use more logs or fewer anchors")
    from sklearn.cluster import MiniBatchKMeans  # only where anchors are made: it loads a second of modules

    means = MiniBatchKMeans(count, random_state=seed, batch_size=BATCH_SIZE, n_init=3)
    means.fit(futures.reshape(len(futures), -1))
    return means.cluster_centers_.reshape(count, *futures.shape[1:]).astype(np.float32)
