"""Two processes (gloo), a fault on rank 1 alone: both end at the same step, with the same reason and exit code."""

from __future__ import annotations

import pytest
from fault_observed import RANKED, ranks
from fault_zoo import FAULTS
from test_fault_matrix import CODES, code_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", RANKED.values(), ids=lambda fault: fault.name)
def test_both_ranks_end_alike(fault):
    first, second = ranks(fault.name)
    assert first.reason.removeprefix("rank 1: ") == second.reason
    assert fault.says in first.reason
    for seen in (first, second):
        assert (seen.criterion, seen.status) == (fault.criterion, fault.status), seen.reason
        assert set(seen.failing) <= {fault.criterion}
        assert (seen.step, seen.exit_code) == (fault.step, code_of(fault)), seen.reason
        assert seen.file
    assert first.memory
    assert second.memory != fault.dirty
    assert second.evidence == fault.evidence


def test_every_criterion_has_a_fault_of_one_rank_or_says_why_not():
    alone = {fault.criterion for fault in FAULTS if fault.ranks == "one"}
    assert set(CODES) - alone == {"checkpoint", "complete"}  # rank 0 writes the files; Lightning agrees when to stop
