"""No fix of docs/troubleshooting.md is a dead key, and every exit code on it is the criterion's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra import compose
from hydra.utils import get_class

from wotempo.commands.estimate import check as check_estimate
from wotempo.config.checks import check_config
from wotempo.config.composition import loaded

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
SPANS = re.findall(r"`([^`]+)`", PAGE)
KEY = re.compile(r"[a-z_]+(\.[a-z_]+)*=\S+")
FIXES = sorted({tuple(span.split()) for span in SPANS if all(KEY.fullmatch(word) for word in span.split())})


def test_the_page_names_fixes():
    assert len(FIXES) >= 12


@pytest.mark.parametrize("fix", FIXES, ids=" ".join)
def test_every_fix_composes_and_changes_the_run(fix):
    config_name = "estimate" if any(word.startswith(("estimate.", "machine.")) for word in fix) else "train"
    check = check_estimate if config_name == "estimate" else check_config
    with loaded():
        base, changed = (
            check(compose(config_name, overrides=["experiment=convgru_1epoch", "run_dir=unset", *more]))
            for more in ([], fix)
        )
    assert base != changed


def test_every_target_of_the_page_exists():
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M)
    for span in SPANS:
        if span.startswith("make "):
            assert span.split()[1] in targets, span


def test_criteria_and_exit_codes_of_the_page_are_right():
    with loaded():
        acceptance = compose("train", overrides=["experiment=convgru_1epoch"]).acceptance
    codes = {name: get_class(options["_target_"]).exit_code for name, options in acceptance.items()}
    stated = re.findall(r"([a-z_]+) \(exit (\d+)\)", PAGE)
    assert len(stated) >= 4
    for name, code in stated:
        assert codes[name] == int(code)
