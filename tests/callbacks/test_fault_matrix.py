"""Every fault ends a run by its own criterion alone, at a known step, and leaves good weights untouched."""

from __future__ import annotations

import pytest
from endings import ENDINGS
from fault import Fault
from fault_observed import ended, single
from fault_zoo import FAULTS

from callbacks import Guard

pytestmark = pytest.mark.slow
CODES = {guard.name: guard.exit_code for guard in Guard.__subclasses__() if guard.__module__.startswith("callbacks.")}


def code_of(fault: Fault) -> int:
    return CODES[fault.criterion] if fault.exit_code is None else fault.exit_code


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_by_its_own_criterion(fault):
    seen = single(fault.name)
    assert (seen.criterion, seen.status) == (fault.criterion, fault.status), seen.reason
    assert set(seen.failing) <= {fault.criterion}
    assert fault.says in seen.reason
    assert (seen.step, seen.exit_code) == (fault.step, code_of(fault))
    assert seen.evidence == fault.evidence
    assert seen.file
    assert seen.memory != fault.dirty


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_an_ending_is_told_as_it_was(ending):
    left = ended(ending.name)
    assert ending.says in left.reason
    assert (left.status, left.exit_code, left.process_code) == (ending.status, ending.exit_code, ending.process_code)
    assert (left.step, left.resumed, left.evidence) == (ending.step, ending.resumed, ending.evidence)
    assert left.clean
    assert left.torn == []


def test_every_criterion_has_a_fault():
    # Of twins, which toys have none of: its faults are in criteria/test_acceptance_history_pays.py.
    assert {fault.criterion for fault in FAULTS} == set(CODES) - {"history_pays"}
    names = [fault.name for fault in FAULTS] + [ending.name for ending in ENDINGS]
    assert len(names) == len(set(names)) >= 30
