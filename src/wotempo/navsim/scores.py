"""The score table: PDM sub-scores of every anchor at every scene, as one memory-mapped folder.

``flags.npy``    (n, N) uint8: bits 0-1 twice the no-at-fault-collision score (0, 1, 2), bit 2 drivable area,
                 bit 3 time to collision, bit 4 comfort
``progress.npy`` (n, N) float16: ego progress in [0, 1]
``index.json``   tokens of the n rows, fingerprint of the N anchors, scorer version, the scenes that could not be
                 scored, each with its reason: they have no row; where it is known, sha256 of each log's file

Equal content gives equal bytes: nothing in the folder depends on when or where it was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wotempo.errors import UserError
from wotempo.navsim.anchors import fingerprint
from wotempo.navsim.arrays import map_array
from wotempo.navsim.files import array_bytes, atomic_folder
from wotempo.navsim.text_files import parse_json

CHUNK = 4096  # rows that are looked at together
ALL_FLAGS = 0b11111
ONE = np.float16(1).view(np.uint16)
METRICS = ("NC", "DAC", "EP", "TTC", "C")  # the order in memory, which is WoTE's
# The scores of a drive (wotempo.pdm.metrics), with their versions: figures of two of them do not compare.
TITLES = {"pdms": "pdms v1.1", "epdms": "epdms v2.2 one-stage, after the human-penalty fix"}


@dataclass(frozen=True)
class ScoreTable:
    """A score table on disk; open it with ``ScoreTable.open``."""

    path: Path
    rows: dict[str, int]  # token -> row
    flags: np.ndarray  # (n, N) uint8, memory-mapped
    progress: np.ndarray  # (n, N) float16, memory-mapped
    anchors_fingerprint: str
    scorer_version: str
    invalid: dict[str, str]  # token of a scene that could not be scored -> why
    made_of: dict[str, str] = field(default_factory=dict)  # split/log, map of … -> sha256, where known

    @classmethod
    def open(cls, path: Path) -> ScoreTable:
        """Raises UserError naming the folder when it is missing, incomplete, or its parts disagree."""
        try:
            index = parse_json((path / "index.json").read_bytes())
            flags, progress = map_array(path / "flags.npy"), map_array(path / "progress.npy")
            rows = {token: row for row, token in enumerate(index["tokens"])}
            version, invalid = index["scorer_version"], dict(index.get("invalid", {}))
            made_of = dict(index.get("made_of", index.get("logs", {})))  # once of logs alone
            table = cls(path, rows, flags, progress, index["anchors_fingerprint"], version, invalid, made_of)
            texts = (version, table.anchors_fingerprint, *rows, *invalid.values(), *made_of, *made_of.values())
            if not all(isinstance(text, str) for text in texts):
                raise TypeError("index.json holds something else than names and reasons")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not a complete score table ({error}); delete it and make the labels again"
            ) from error
        if flags.shape != progress.shape or flags.ndim != 2 or not len(flags) == len(index["tokens"]) == len(rows):
            raise UserError(
                f"{path}: the parts of the score table disagree in size; delete it and make the labels again"
            )
        if (flags.dtype, progress.dtype) != (np.uint8, np.float16) or not _in_range(flags, progress):
            raise UserError(f"{path}: holds scores that are none; delete it and make the labels again")
        if rows.keys() & invalid.keys():
            raise UserError(f"{path}: index.json lists scenes both with scores and as invalid; write the labels again")
        return table

    def __contains__(self, token: str) -> bool:
        return token in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def scores(self, token: str) -> np.ndarray:
        """(5, N) float32 in the order NC, DAC, EP, TTC, C. Raises UserError when the token has no labels."""
        if token in self.invalid:
            raise UserError(f"{self.path}: scene {token} is invalid ({self.invalid[token]}); leave it out")
        if token not in self.rows:
            raise UserError(f"{self.path}: no labels for scene {token}; write the labels of this split")
        row = self.rows[token]
        bits = self.flags[row]
        nc = (bits & 3) / 2
        dac, ttc, comfort = (bits >> 2 & 1, bits >> 3 & 1, bits >> 4 & 1)
        return np.stack([nc, dac, self.progress[row], ttc, comfort]).astype(np.float32)

    def changed(self, contents: Mapping[str, str]) -> list[str]:
        """Names of the logs and maps whose files are others by now; ``contents``: as ``made_of``."""
        return [name for name, content in self.made_of.items() if contents.get(name, content) != content]

    def require_files(self, contents: Mapping[str, str]) -> None:
        """Raises UserError where the table was made of other files of these logs and maps."""
        if changed := self.changed(contents):
            raise UserError(
                f"{self.path}: was made of other files of {len(changed)} of {len(self.made_of)} logs and maps, "
                f"first {changed[0]}: write the labels again (`make labels ARGS=overwrite=true`)"
            )

    def require_anchors(self, anchors: np.ndarray) -> None:
        """Raises UserError unless the table was made for exactly these anchors (N, 8, 3)."""
        if fingerprint(anchors) != self.anchors_fingerprint:
            raise UserError(
                f"{self.path}: labels were made for anchors {self.anchors_fingerprint}, "
                f"the model uses {fingerprint(anchors)}; write the labels again with the model's anchors"
            )


def _in_range(flags: np.ndarray, progress: np.ndarray) -> bool:
    """Whether all (n, N) are what ``pack_scores`` makes."""
    for start in range(0, len(flags), CHUNK):
        bits, part = flags[start : start + CHUNK], progress[start : start + CHUNK]
        # Not negative, its bits grow with its value, and whole numbers compare faster than halves.
        sound = part.view(np.uint16) <= ONE
        if not (bits <= ALL_FLAGS).all() or (bits & 3 == 3).any() or not (sound.all() or (sound | (part == 0)).all()):
            return False
    return True


def pack_scores(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (..., 5, N) in the order NC, DAC, EP, TTC, C -> flags (..., N) uint8 and progress (..., N) float16.

    Raises ValueError for scores outside their ranges.
    """
    nc, dac, progress, ttc, comfort = np.moveaxis(scores, -2, 0)
    if not (np.isin(nc, (0, 0.5, 1)).all() and all(np.isin(part, (0, 1)).all() for part in (dac, ttc, comfort))):
        raise ValueError("NC must be 0, 0.5 or 1, and DAC, TTC and C must be 0 or 1")
    if not ((progress >= 0) & (progress <= 1)).all():
        raise ValueError("progress must lie in [0, 1]")
    flags = (2 * nc).astype(np.uint8)
    for bit, part in ((2, dac), (3, ttc), (4, comfort)):
        flags |= part.astype(np.uint8) << bit
    return flags, progress.astype(np.float16)


def write_packed_table(
    path: Path,
    tokens: Sequence[str],
    flags: np.ndarray,
    progress: np.ndarray,
    anchors_fingerprint: str,
    scorer_version: str,
    invalid: Mapping[str, str] | None = None,
    made_of: Mapping[str, str] | None = None,
) -> None:
    """Write what ``pack_scores`` returns, (n, N) each, the scenes without scores, and ``ScoreTable.made_of``; atomic,
    replaces an older table.

    Raises ValueError for repeated tokens, UserError when the disk is full.
    """
    invalid = dict(invalid or {})
    if (
        flags.shape != progress.shape
        or len(flags) != len(tokens)
        or len({*tokens, *invalid}) < len(tokens) + len(invalid)
    ):
        raise ValueError(f"{len(tokens)} tokens, once each, need as many rows: {flags.shape}, {progress.shape}")
    index = {
        "tokens": list(tokens),
        "anchors_fingerprint": anchors_fingerprint,
        "scorer_version": scorer_version,
        "invalid": invalid,
        **({"made_of": dict(sorted(made_of.items()))} if made_of else {}),
    }
    with atomic_folder(path) as folder:
        (folder / "flags.npy").write_bytes(array_bytes(flags))
        (folder / "progress.npy").write_bytes(array_bytes(progress))
        (folder / "index.json").write_text(json.dumps(index))
