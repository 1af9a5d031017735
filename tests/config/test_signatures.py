"""The signature of a configuration never changes: runs are continued and reused by it."""

from __future__ import annotations

import json
from pathlib import Path

from hydra import compose

from wotempo.config.composition import loaded
from wotempo.config.schema import typed
from wotempo.runs.provenance import signature

# Overrides -> signature, computed when the schema still had defaults of its own. Later options are not listed.
GOLDEN: dict[str, str] = json.loads(
    (Path(__file__).parents[1] / "golden" / "config" / "signatures.json").read_text(encoding="utf-8")
)


def test_signatures_are_those_of_earlier_runs(monkeypatch):
    monkeypatch.setenv("NAVSIM_DEVKIT_ROOT", "/devkit")
    found = {}
    with loaded():
        for overrides in GOLDEN:
            found[overrides] = signature(typed(compose("train", overrides=[*overrides.split(), "run_dir=unset"])))
    assert found == GOLDEN
