"""What every forked run needs first, imported and drawn before the fork: a process that has not trained yet."""

from __future__ import annotations

import fsspec.implementations.local  # noqa: F401  Lightning imports both when the first run begins
import omegaconf  # noqa: F401
from toy_drive import drive

drive()
