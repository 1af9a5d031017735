"""Marks of rows whose runs are not of one code: in every table."""

from __future__ import annotations

import pytest

from wotempo.records.evidence import CODE, code_hash
from wotempo.report.ablation import Job, summarise
from wotempo.report.ablation_page import markdown
from wotempo.report.leaderboard import lines_of
from wotempo.report.marks import MARKS, marks
from wotempo.runs.sweep import table

VERDICT = {"status": "accepted", "criteria": [], "facts": {}, "evidence": {CODE: code_hash()}}
ELSEWHERE = {**VERDICT, "evidence": {CODE: {"src/wotempo": "other"}}}
RESUMED = {**VERDICT, "facts": {"resumed": [{"step": 3, "reason": "killed"}]}}
MIXED = {**VERDICT, "facts": {"resumed": [{"step": 3, "reason": "killed", "changed": ["other code: a.py"]}]}}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [([VERDICT], ""), ([RESUMED], ""), ([ELSEWHERE], " ‡"), ([VERDICT, MIXED], " §"), ([ELSEWHERE, MIXED], " ‡ §")],
)
def test_a_row_bears_the_marks_of_its_runs(verdicts, expected):
    assert marks(*verdicts) == expected
    jobs = [Job("mine", seed, verdict, {}, None) for seed, verdict in enumerate(verdicts)]
    view = summarise(jobs, "mine", "pdms", 0.02)
    assert lines_of(view, "pdms")[0]["variant"] == f"mine †{expected}"
    page = markdown(view, "mine", "pdms", 0.02, "")
    assert f"| mine{expected} |" in page
    assert (MARKS in page) == bool(expected)
    cells = [cell for column in table(jobs).columns[2:3] for cell in column.cells]
    assert sorted(cells) == sorted(f"accepted{marks(verdict)}" for verdict in verdicts)
