"""WoTE's label file ``formatted_pdm_score_<N>.npy``: a pickled dict of tokens, in and out of a score table.

token -> {"valid": bool, "trajectory_scores": [{sub-score: (N,) float64}]}. The file does not say which anchors it
belongs to; its reader has to know them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.anchors import fingerprint
from wotempo.navsim.arrays import read_header
from wotempo.navsim.files import atomic_path
from wotempo.navsim.legacy_pickle import PROTOCOL, LegacyPickler
from wotempo.navsim.scores import METRICS, ScoreTable, pack_scores, write_packed_table
from wotempo.navsim.unpickle import unpickle
from wotempo.pdm.metrics import PDMS_COLUMNS
from wotempo.pdm.score import pdm_score

COMMUNITY_SCORER = "formatted_pdm_score"  # scorer version of a table whose scorer is not known
KEYS = dict(zip(METRICS, PDMS_COLUMNS.values(), strict=False))  # the columns begin with the five, in the same order


def import_community_file(path: Path, anchors: np.ndarray, out_dir: Path) -> ScoreTable:
    """Write the scores of the file as the score table ``out_dir`` of ``anchors`` (N, 8, 3); returns it opened.

    Tokens that are not valid, or have no scores, become the table's invalid ones. Raises UserError naming the file,
    and the token, when it is no such file, holds code, another number of anchors, or values outside their ranges.
    """
    content = _read(path)
    tokens: list[str] = []
    invalid: dict[str, str] = {}
    packed: list[tuple[np.ndarray, np.ndarray]] = []
    for token, entry in content.items():
        try:
            if entry.get("valid", True) and entry["trajectory_scores"]:
                packed.append(_pack(entry["trajectory_scores"][0], len(anchors)))
                tokens.append(str(token))
            else:
                invalid[str(token)] = f"not valid in {path.name}"
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else error
            raise UserError(f"{path}: token {token}: {reason}; it must be WoTE's formatted_pdm_score") from error
    if not tokens:
        raise UserError(f"{path}: holds no valid scores")
    flags, progress = (np.stack(arrays) for arrays in zip(*packed, strict=True))
    write_packed_table(out_dir, tokens, flags, progress, fingerprint(anchors), COMMUNITY_SCORER, invalid)
    return ScoreTable.open(out_dir)


def export_community_file(table: ScoreTable, path: Path) -> None:
    """Write a score table as WoTE's file, readable by numpy 1 and 2; atomic. Raises UserError when the disk is full.

    ``score`` is computed from the stored parts. driving_direction_compliance is not stored, so it is left out: WoTE's
    loader reads the five others. Invalid tokens carry ``valid: False`` and no scores. Everything is in memory at once:
    six float64 an anchor, 12 kB a scene.
    """
    content: dict[str, Any] = {token: _entry(table.scores(token).astype(np.float64)) for token in table.rows}
    content |= {token: {"valid": False, "trajectory_scores": []} for token in table.invalid}
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    array = np.empty((), object)
    array[()] = content
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        LegacyPickler(file, PROTOCOL).dump(array)


def _entry(scores: np.ndarray) -> dict[str, Any]:
    named = {KEYS[metric]: values.copy() for metric, values in zip(METRICS, scores, strict=True)}
    return {"valid": True, "trajectory_scores": [{**named, "score": pdm_score(*scores)}]}


def _pack(scores: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.stack([np.asarray(scores[KEYS[metric]], np.float64) for metric in METRICS])
    if rows.shape != (len(METRICS), count):
        raise ValueError(f"scores of {rows.shape[1:]} trajectories, not of the {count} anchors given")
    return pack_scores(rows)


def _read(path: Path) -> dict[Any, Any]:
    try:
        with path.open("rb") as file:
            header = read_header(file)
            if header.shape != () or not header.dtype.hasobject:
                raise ValueError(f"an array of {header.dtype} with the shape {header.shape}")
            array = unpickle(file.read(), path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a pickled dict of numpy ({error}); it must be WoTE's own file") from error
    content = array.item() if isinstance(array, np.ndarray) and array.shape == () else None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no dict of tokens; it must be WoTE's formatted_pdm_score file")
    return content
