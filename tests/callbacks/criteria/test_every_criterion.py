"""What every criterion keeps, found by its file: a new one is tested without being named here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest
from toy_drive import loader
from toy_run import judge, statuses

import callbacks.criteria
from callbacks import Guard

NAMES = [module.name for module in pkgutil.iter_modules(callbacks.criteria.__path__)]


def criterion_of(name: str) -> type[Guard]:
    """The one ``Guard`` that the file of this name defines."""
    module = importlib.import_module(f"callbacks.criteria.{name}")
    (found,) = [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, Guard) and member.__module__ == module.__name__
    ]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_its_file_and_its_class_bear_its_name(name):
    criterion = criterion_of(name)
    assert criterion.name == name
    assert (inspect.getmodule(criterion).__doc__ or "").startswith(f"``{name}``: ")
    assert criterion.__doc__
    assert criterion.hint
    assert criterion.unit


@pytest.mark.parametrize("of", ["name", "number", "exit_code"])
def test_no_two_share_it(of):
    counts = Counter(getattr(criterion_of(name), of) for name in NAMES)
    assert len(NAMES) >= 13
    assert counts.most_common(1)[0][1] == 1, counts
    if of == "exit_code":
        assert min(counts) >= 10, "below lie crash, bad input and what shells use"


def test_the_page_lists_them_in_the_order_of_the_card():
    page = Path(callbacks.__file__).parents[1] / "docs" / "criteria.md"
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 13
    known = [criterion_of(name) for name, _ in rows]
    assert [int(code) for _, code in rows] == [criterion.exit_code for criterion in known]
    assert known == sorted(known, key=lambda criterion: criterion.number)


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_a_policy_and_is_skipped_when_switched_off(name, tmp_path):
    guard = criterion_of(name)(policy="off")
    report, raised = judge(tmp_path, train=loader(3), guards=[guard])
    assert raised is None
    assert statuses(report) == {name: "skipped"}
    assert report.exit_code == 1, "a run without any criterion is not accepted"


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_policy_is_refused(name):
    with pytest.raises(ValueError, match=f"the policy of criterion '{name}' is 'maybe'"):
        criterion_of(name)(policy="maybe")


@pytest.mark.parametrize("name", NAMES)
def test_its_verdict_is_plain_and_its_state_is_that_of_its_class(name, tmp_path):
    guard = criterion_of(name)(policy="warn")
    judge(tmp_path, train=loader(3), guards=[guard])
    assert guard.status in ("pass", "fail", "inconclusive", "skipped")
    assert guard.message
    again = criterion_of(name)()
    again.trainer = guard.trainer
    again.load_state_dict(guard.state_dict())
    assert again.memory == guard.memory
