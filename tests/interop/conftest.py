"""Weights come from the model's own golden test, a dataset on disk from the tests of the data."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[1] / room) for room in ("model", "data")]
