"""The full-size reference weights are those of the model's own golden test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "model"))
