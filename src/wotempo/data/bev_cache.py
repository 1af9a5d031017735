"""BEV maps of a frozen encoder, computed once per frame, so that training reads no images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from wotempo.data.build import BuildReport, Progress, Task, build_records
from wotempo.data.frame_cache import FrameCache, FrameRef
from wotempo.data.identity import key_of
from wotempo.data.reader import RecordReader
from wotempo.data.store import RecordStore, Ref


class FrameEncoder(Protocol):
    """What the cache holds the outputs of. Equal fingerprints mean equal outputs."""

    fingerprint: str
    shape: tuple[int, int, int]  # channels, rows, columns of its maps

    def __call__(self, camera: np.ndarray, lidar: np.ndarray) -> np.ndarray:
        """camera (3, H, W), lidar (1, R, C) uint8 of one frame -> (channels, rows, columns) float32."""
        ...


class BevCache:
    """Maps of ``encoder`` below ``root`` for the frames of ``frames``. A record is re-used while the frame's features
    and the encoder's weights are the same."""

    def __init__(self, root: Path, frames: FrameCache, encoder: FrameEncoder) -> None:
        self.frames, self.encoder = frames, encoder
        made_of = key_of([frames.spec.content_hash, encoder.fingerprint])
        self.store = RecordStore(root, "bev", made_of, np.dtype([("bev", "<f4", encoder.shape)]))

    def build(self, refs: Iterable[FrameRef], progress: Progress | None = None) -> BuildReport:
        """Make the maps of all frames present and good, one frame after the other in this process: a map must not
        depend on the frames beside it."""
        unique: dict[Ref, FrameRef] = {ref.record: ref for ref in refs}
        reader = self.frames.reader(list(unique.values()))

        def encoded(i: int) -> np.ndarray:
            frame = reader.read(i)
            record = np.empty((), self.store.dtype)
            record["bev"] = self.encoder(frame["camera"], frame["lidar"])
            return record

        tasks = [Task(ref.group, ref.token, f"{reader.crc[i]:08x}", i) for i, ref in enumerate(unique)]
        return build_records(self.store, tasks, encoded, progress=progress)

    def reader(self, records: Sequence[Ref]) -> RecordReader:
        """Records with the field ``bev`` by position in ``records``, those of frames; UserError with the count where
        some are absent."""
        return self.store.reader(records)
