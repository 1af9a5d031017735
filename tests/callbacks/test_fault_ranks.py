"""Two processes (gloo), a fault on rank 1 alone: both end at the same step, with the same reason and exit code."""

from __future__ import annotations

import pytest
from fault_observed import RANKED, ranks
from fault_page import own_words
from fault_zoo import FAULTS, TWO_RANKS
from test_fault_matrix import CODES, code_of

pytestmark = pytest.mark.slow
KILLED = TWO_RANKS[-1]


@pytest.mark.parametrize("fault", RANKED.values(), ids=lambda fault: fault.name)
def test_both_ranks_end_alike(fault):
    first, *others = ranks(fault.name)
    assert len(others) == (fault is not KILLED)
    assert fault.says in first.reason
    for seen in (first, *others):
        assert own_words(seen) == own_words(first)
        assert (seen.criterion, seen.status) == (fault.criterion, fault.status), seen.reason
        assert set(seen.failing) <= {fault.criterion}
        steps = fault.step if fault.together is None else fault.together
        assert (seen.step, seen.exit_code) == (steps, code_of(fault)), seen.reason
        assert seen.file
    assert first.memory
    assert all(second.memory != fault.dirty for second in others)
    assert ([first, *others][-1]).evidence == fault.evidence


def test_every_criterion_has_a_fault_of_one_rank_or_says_why_not():
    alone = {fault.criterion for fault in [*FAULTS, *TWO_RANKS] if fault.ranks == "one"}
    # Rank 0 writes the files and looks at twins; all ranks have the same weights, and with them the same plans.
    assert set(CODES) - alone == {"checkpoint", "learning", "plan", "history_pays"}
