"""The signature of a configuration never changes: runs are continued and reused by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hydra import compose
from omegaconf import OmegaConf

from wotempo.config.checks import check_scenes
from wotempo.config.composition import loaded
from wotempo.config.missing import MISSING
from wotempo.config.schema import typed
from wotempo.config.stored import stored
from wotempo.data.filling import MODES
from wotempo.errors import UserError
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


# The former keys, the present value, and the signature of such runs.
FORMERLY = [
    ({"missing": "error", "missing_history": "error"}, "error", "84057a87"),
    ({"missing": "skip", "missing_history": "error"}, "drop", "b3cd0f2c"),
    ({"missing": "error", "missing_history": "mask"}, "mask", "53f8a8d4"),
    ({"missing_history": "mask"}, "mask", "53f8a8d4"),
]


@pytest.mark.parametrize(("was", "now", "expected"), FORMERLY)
def test_runs_from_before_say_what_becomes_of_missing_files_by_two_keys(tmp_path, was, now, expected):
    with loaded():
        config = compose("train", overrides=["run_dir=unset"])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    plain["data"] = {k: v for k, v in plain["data"].items() if k != "missing"} | was
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain))
    found = typed(stored(tmp_path))
    assert found.data.missing == now
    assert signature(found) == expected


def test_an_unknown_way_with_missing_files_is_refused():
    with loaded():
        config = typed(compose("train", overrides=["run_dir=unset", "data.missing=dorp"]))
    with pytest.raises(UserError, match=r"data\.missing.*'dorp'.*'drop'"):
        check_scenes(config.data)
    assert MISSING == MODES
