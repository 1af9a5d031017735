"""The unit of labelling: some scenes of one log, scored together and kept in one file until the table is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from wotempo.configs import values
from wotempo.maps import MapIndex, map_contents, read_map
from wotempo.navsim.arrays import read_arrays
from wotempo.navsim.files import atomic_path
from wotempo.navsim.index.stored import contents
from wotempo.navsim.per_scene import attempted
from wotempo.navsim.schema import NUM_FUTURE, Scene
from wotempo.navsim.scores import pack_scores
from wotempo.navsim.text_files import parse_json
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import score_trajectories

SCENES_PER_PART: int = values("labels")["scenes_per_part"]


@dataclass(frozen=True)
class PartScores:
    """Of n scenes: packed scores (n, N) each, and why a scene has none ("" where it has)."""

    flags: np.ndarray  # uint8
    progress: np.ndarray  # float16
    reasons: list[str]


def cut(scenes: Sequence[Scene], scenes_per_part: int = SCENES_PER_PART, history: int = 1) -> list[list[Scene]]:
    """Parts of neighbouring scenes of one log, with a log of no more frames than they need: they travel to processes.

    history: frames up to the current one that a scene keeps.
    """
    parts = []
    for _, of_log in groupby(scenes, key=lambda scene: (scene.log.split, scene.log.name)):
        run = list(of_log)
        for begin in range(0, len(run), scenes_per_part):
            part = run[begin : begin + scenes_per_part]
            first = max(min(scene.index for scene in part) - history + 1, 0)
            last = max(scene.index for scene in part) + NUM_FUTURE
            log, begin = part[0].log.for_a_task(first, last)
            parts.append([replace(scene, log=log, index=scene.index - begin) for scene in part])
    return parts


def label_part(maps_root: Path, anchors: np.ndarray, parts_dir: Path, part: list[Scene]) -> int:
    """Score anchors (N, 8, 3) at the scenes of a part, write its file -> the number of scenes.

    A scene that cannot be scored gets a reason instead of scores. A map that cannot be read is an error.
    """
    made_of = json.dumps(made_of_scenes(part, maps_root))  # before: files replaced meanwhile are then told apart
    flags = np.zeros((len(part), len(anchors)), np.uint8)
    progress = np.zeros((len(part), len(anchors)), np.float16)
    reasons = []
    # Processors belong to workers, and a sum does not depend on how many threads shared it.
    with threadpool_limits(1):
        for row, scene in enumerate(part):
            town = read_map(maps_root, scene.current.map_location)
            town.load()  # so that a damaged layer is an error here and no scene's fault below
            packed, reason = attempted(partial(_packed, scene, town, anchors))
            if packed is not None:
                flags[row], progress[row] = packed
            reasons.append(reason)
    with atomic_path(part_path(parts_dir, part)) as temporary, temporary.open("wb") as file:
        tokens = [scene.token for scene in part]
        np.savez(file, tokens=tokens, flags=flags, progress=progress, reasons=reasons, made_of=made_of)
    return len(part)


def _packed(scene: Scene, town: MapIndex, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pack_scores(score_scene(scene, town, anchors))


def score_scene(scene: Scene, town: MapIndex, anchors: np.ndarray) -> np.ndarray:
    """(5, N) float64 in the order NC, DAC, EP, TTC, C. Raises SceneError for a scene that cannot be scored."""
    result = score_trajectories(SceneContext.build(scene, town), anchors)
    return np.stack([result.nc, result.dac, result.ep, result.ttc, result.comfort])


def read_part(parts_dir: Path, part: list[Scene], num_anchors: int, made_of: Mapping[str, str]) -> PartScores | None:
    """A part that an earlier run finished. None when there is none, its file was damaged since, or its log or map is
    another one by ``made_of``, as far as that names them: it is made again."""
    try:
        saved = read_arrays(part_path(parts_dir, part))
        tokens, reasons = list(saved["tokens"].tolist()), list(saved["reasons"].astype(np.str_).tolist())
        scores = PartScores(saved["flags"], saved["progress"], reasons)
        files = dict(parse_json(str(saved["made_of"]).encode()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = tokens == [scene.token for scene in part] and len(reasons) == len(part)
    whole &= all(made_of.get(name, content) == content for name, content in files.items())
    whole &= (scores.flags.dtype, scores.progress.dtype) == (np.uint8, np.float16)
    return scores if whole and scores.flags.shape == scores.progress.shape == (len(part), num_anchors) else None


def made_of_scenes(scenes: Sequence[Scene], maps_root: Path) -> dict[str, str]:
    """``ScoreTable.made_of`` of labels of these scenes. UserError for a map that is missing."""
    places = {scene.current.map_location for scene in scenes}
    return contents(scene.log for scene in scenes) | map_contents(maps_root, places)


def part_path(parts_dir: Path, part: list[Scene]) -> Path:
    return parts_dir / f"{part[0].token}-{len(part)}.npz"
