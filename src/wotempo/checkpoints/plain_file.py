"""A checkpoint file that holds plain data and tensors, and nothing that would run."""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from callbacks.base.checksum import CHECKSUM, DamagedFileError, read_saved
from wotempo.errors import UserError


def read_plain(path: Path) -> dict[Any, Any]:
    """The dict in a file of ``torch.save``, on the CPU. UserError where it is damaged, unsafe or something else."""
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on foreign pickles; what matters is in the error
            content = read_saved(path)
    except DamagedFileError as error:  # torch alone would read on: the weights would be others, without a word
        raise UserError(f"{path} {error}: copy or download it anew") from None
    except Exception as error:  # a damaged file can fail in any line of the unpickler
        raise UserError(f"{path} {_reason(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a checkpoint: give a file with a state_dict")
    if CHECKSUM not in content:
        _tell(path)
    return content


@cache
def _tell(path: Path) -> None:
    print(f"{path} carries no checksum of its content: its weights were only held against what weights can be")


def _reason(error: Exception) -> str:
    """torch's message of many lines -> what is wrong and what to do."""
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"holds pickled code ({code.group(1)}), which is not executed: save its state_dict alone, "
            "torch.save({'state_dict': …}, file), where the file is trusted"
        )
    return f"is no readable checkpoint ({type(error).__name__}): it is truncated or something else; download it anew"
