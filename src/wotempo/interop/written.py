"""The writer of weights: the file, and its anchors beside it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from callbacks.base.checksum import with_checksum
from wotempo.errors import UserError
from wotempo.interop.weights import WoTEWeights
from wotempo.navsim import atomic_path
from wotempo.navsim.files import array_bytes


@dataclass(frozen=True)
class Written:
    """``anchors``: the .npy that ``data.anchors=`` here, and ``cluster_file_path`` of the official agent, take."""

    checkpoint: Path
    anchors: Path


def check_output(output: Path, source: Path, overwrite: bool) -> Written:
    """The files that will be written. UserError where one is there already, or is the one that is read."""
    written = Written(output, output.with_name(f"{output.stem}.anchors.npy"))
    for path in (written.checkpoint, written.anchors):
        if path.is_dir():
            raise UserError(f"output: {path} is a folder; name a file")
        if path.resolve() == source.resolve():
            raise UserError(f"output: {path} is the checkpoint that is read; name another file")
        if path.exists() and not overwrite:
            raise UserError(f"output: {path} is there already; name another file or set overwrite=true")
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UserError(f"output: {above} is a file, so {output} cannot be in it; name another file")
    return written


def write_files(weights: WoTEWeights, content: dict[str, Any], output: Path, overwrite: bool) -> Written:
    """Both files or none: they get their names when both are whole on the disk."""
    written = check_output(output, weights.source, overwrite)
    # By way of memory: torch hides the reason when a disk is full.
    buffer = io.BytesIO()
    torch.save(with_checksum(content), buffer)
    with atomic_path(written.checkpoint) as checkpoint, atomic_path(written.anchors) as anchors:
        checkpoint.write_bytes(buffer.getbuffer())
        anchors.write_bytes(array_bytes(weights.anchors))
    return written
