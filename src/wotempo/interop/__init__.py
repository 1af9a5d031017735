"""Bridges to official checkpoints and devkits.

``import_official`` and ``write_checkpoint`` turn an official WoTE checkpoint into one of ours, ``read_single_frame``
and ``export_official`` go back; ``WoTEWeights`` is what passes between them. Command: ``wotempo weights``.
"""

from wotempo.interop.compare import DifferentWeights
from wotempo.interop.official import export_official, import_official
from wotempo.interop.trained import read_single_frame, write_checkpoint
from wotempo.interop.weights import WoTEWeights
from wotempo.interop.written import Written, check_output

__all__ = [
    "DifferentWeights",
    "WoTEWeights",
    "Written",
    "check_output",
    "export_official",
    "import_official",
    "read_single_frame",
    "write_checkpoint",
]
