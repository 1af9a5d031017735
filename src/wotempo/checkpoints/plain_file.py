"""A checkpoint file that holds plain data and tensors, and nothing that would run."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from wotempo.errors import UserError


def read_plain(path: Path) -> dict[Any, Any]:
    """The dict in a file of ``torch.save``, on the CPU. UserError where it is damaged, unsafe or something else."""
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on foreign pickles; what matters is in the error
            content = torch.load(path, map_location="cpu", weights_only=True)
        damaged = _damaged_record(path)
    except Exception as error:  # a damaged file can fail in any line of the unpickler
        raise UserError(f"{path} {_reason(error)}") from None
    if damaged is not None:
        # torch reads on: the weights would be others, without a word
        raise UserError(f"{path} is damaged ('{damaged}' does not match its checksum): copy or download it anew")
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a checkpoint: give a file with a state_dict")
    return content


def _damaged_record(path: Path) -> str | None:
    """The first record whose bytes are not those that were written. Files older than torch 1.6 have no checksums."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _reason(error: Exception) -> str:
    """torch's message of many lines -> what is wrong and what to do."""
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"holds pickled code ({code.group(1)}), which is not executed: save its state_dict alone, "
            "torch.save({'state_dict': …}, file), where the file is trusted"
        )
    return f"is no readable checkpoint ({type(error).__name__}): it is truncated or something else; download it anew"
