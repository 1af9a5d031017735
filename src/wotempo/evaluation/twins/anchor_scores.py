"""The scores of all anchors in the scenes of twins, computed once and kept.

Below the cache folder: ``twins/anchors-<hash>.npz``; the hash is that of the scorer's version, the anchors, the tokens
and the contents of their logs and maps, so that a file is never of anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wotempo.datasets import Progress
from wotempo.evaluation.twins.bound import SCORES
from wotempo.navsim import DataPaths, Scene, fingerprint
from wotempo.navsim.arrays import read_arrays
from wotempo.navsim.files import archive_bytes, may_write, write_bytes
from wotempo.navsim.scores import TITLES
from wotempo.pdm.alone import score_part
from wotempo.pdm.labels.label_parts import cut, made_of_scenes
from wotempo.pdm.score import SCORER_VERSION


class AnchorScores(NamedTuple):
    """``scores``: token -> (len(SCORES), N) float64. ``failed``: token of a scene that cannot be scored -> why."""

    scores: dict[str, np.ndarray]
    failed: dict[str, str]


def anchor_scores(
    cache: Path, paths: DataPaths, scenes: Sequence[Scene], anchors: np.ndarray, workers: int, progress: Progress
) -> AnchorScores:
    """Of anchors (N, 8, 3) in ``scenes``; read where they were scored before, else scored in ``workers`` processes."""
    of = [SCORER_VERSION, TITLES["pdms"], fingerprint(anchors), [s.token for s in scenes]]
    key = hashlib.sha256(json.dumps([*of, sorted(made_of_scenes(scenes, paths.maps).items())]).encode()).hexdigest()[
        :16
    ]
    file = cache / "twins" / f"anchors-{key}.npz"
    if (kept := _read(file, scenes, len(anchors))) is not None:
        return kept
    found = _scored(paths, scenes, anchors, workers, progress)
    if may_write(file.parent):
        values = [found.scores.get(s.token, np.full((len(SCORES), len(anchors)), np.nan)) for s in scenes]
        reasons = [found.failed.get(s.token, "") for s in scenes]
        write_bytes(file, archive_bytes(scores=np.stack(values), reasons=np.array(reasons, dtype=str)))
    return found


def _read(file: Path, scenes: Sequence[Scene], anchors: int) -> AnchorScores | None:
    """What ``file`` holds; None where there is none, or it was damaged since: it is made again."""
    try:
        saved = read_arrays(file)
        values, reasons = saved["scores"], saved["reasons"].astype(np.str_).tolist()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if values.shape != (len(scenes), len(SCORES), anchors) or len(reasons) != len(scenes) or values.dtype != np.float64:
        return None
    return _sorted(scenes, list(values), reasons)


def _sorted(scenes: Sequence[Scene], values: Sequence[np.ndarray | None], reasons: Sequence[str]) -> AnchorScores:
    of_scenes = list(zip(scenes, values, reasons, strict=True))
    scores = {scene.token: value for scene, value, why in of_scenes if not why and value is not None}
    return AnchorScores(scores, {scene.token: why for scene, _, why in of_scenes if why})


def _scored(
    paths: DataPaths, scenes: Sequence[Scene], anchors: np.ndarray, workers: int, progress: Progress
) -> AnchorScores:
    from joblib import Parallel, delayed

    parts, what = cut(scenes), "score anchors in twins"
    progress(what, 0, len(scenes))
    jobs = (delayed(score_part)(paths.maps, anchors, part) for part in parts)
    values, reasons = list[np.ndarray | None](), list[str]()
    for of_part in Parallel(n_jobs=workers, return_as="generator")(jobs):
        for value, why in of_part:
            values.append(value)
            reasons.append(why)
        progress(what, len(values), len(scenes))
    return _sorted([scene for part in parts for scene in part], values, reasons)
