"""A twin pair of the test split as several runs drive it, for a picture (wotempo.report.pictures.twin_picture)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from wotempo.datasets import Progress
from wotempo.errors import UserError
from wotempo.evaluation.pictured import Photographer
from wotempo.geometry import relative_to
from wotempo.navsim import FRAME_PERIOD_S, Scene
from wotempo.navsim.twins import Pair, own_twins
from wotempo.pdm.objects import box_corners
from wotempo.report.ablation import read_rows
from wotempo.report.pictures.twin_picture import Member, Planned, draw_pair
from wotempo.report.scores import TEST_FILE
from wotempo.report.twins import TWINS_FILE, read_twin_rows


def picture_of(runs: list[Path], name: str | None, file: Path, progress: Progress) -> str:
    """Draw the test pair ``name`` as ``runs`` drive it into ``file`` -> its name. Without a name: of the pairs whose
    swap gain by the first run is positive, the one in the middle of the differences of PDMS between the first run and
    the last. UserError where a run lacks its scores or its checkpoint, or no pair is of that name."""
    rows = {run: _rows(run) for run in runs}
    name = name or _typical(*(rows[run][1].set_index("pair") for run in (runs[0], runs[-1])))
    photographers = {run: Photographer(run, progress) for run in runs}
    first = photographers[runs[0]]
    pair = _pair(first, name)
    taken = {run: photographer.take(list(pair.tokens)) for run, photographer in photographers.items()}
    members = []
    for place, (token, tracks) in enumerate(zip(pair.tokens, pair.agents, strict=True)):
        planned = [
            Planned(_label(run), samples[place]["plan"], float(rows[run][0].set_index("token").loc[token, "pdms"]))
            for run, samples in taken.items()
        ]
        members.append(Member(taken[runs[0]][place], _boxes(first.scenes[token], tracks), planned))
    draw_pair(f"{pair.kind}, {pair.name}", members, file)
    return name


def _rows(run: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The run's table of scenes and its table of pairs."""
    for lacking in (TEST_FILE, TWINS_FILE, "checkpoints/last.ckpt"):
        if not (run / lacking).is_file():
            raise UserError(f"{run} has no {lacking}: name runs that were scored on twin scenes (test=true)")
    return read_rows(run / TEST_FILE), read_twin_rows(run / TWINS_FILE)


def _typical(own: pd.DataFrame, other: pd.DataFrame) -> str:
    told = own.index[own["pdms"] > own["swapped"]].intersection(other.index)
    if not len(told):
        raise UserError("the first run tells no pair apart: name one by pair=…")
    gains = (own.loc[told, "pdms"] - other.loc[told, "pdms"]).sort_values(kind="stable")
    return str(gains.index[len(gains) // 2])


def _pair(photographer: Photographer, name: str) -> Pair:
    twins = own_twins(photographer.paths.root)
    pairs = {pair.name: pair for pair in (twins.of("test") if twins is not None else ())}
    if name not in pairs:
        raise UserError(f"no pair of the test split is called '{name}': twins.json names them")
    return pairs[name]


def _label(run: Path) -> str:
    """``variant`` of a job of an ablation, else the folder's name."""
    return next((part.removeprefix("variant=") for part in run.parts if part.startswith("variant=")), run.name)


def _boxes(scene: Scene, tracks: tuple[str, ...]) -> list[tuple[float, np.ndarray]]:
    """(seconds from now, corners (4, 2) in the ego frame of now) of the boxes of ``tracks`` in every frame."""
    found, frames = [], [*scene.history, *scene.future]
    for place, frame in enumerate(frames):
        if frame is None or frame.boxes is None:
            continue
        for box, track in zip(frame.boxes.boxes, frame.boxes.track_tokens, strict=True):
            if track in tracks:
                corners = box_corners(box[[0, 1, 6]], box[3], box[4])
                moved = relative_to(relative_to(frame.pose, scene.current.pose), np.insert(corners, 2, 0.0, axis=1))
                found.append((FRAME_PERIOD_S * (place + 1 - len(scene.history)), moved[:, :2]))
    return found
