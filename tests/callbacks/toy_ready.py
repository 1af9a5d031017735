"""What every forked run needs first, imported and drawn before the fork: a process that has not trained yet."""

from __future__ import annotations

import gc

import fsspec.implementations.local  # noqa: F401  Lightning imports both when the first run begins
import omegaconf  # noqa: F401
from toy_evidence import ToyData

ToyData()  # draws the drive and its pictures
gc.freeze()  # else each child's collector would look at, and copy, all of this
