"""A damaged file of one run is named; it neither ends in a traceback nor hides the other runs."""

from __future__ import annotations

import pytest
from report_runs import run_folder

from wotempo.errors import UserError
from wotempo.records.reading import Damaged, read_config, read_verdict, read_verdicts
from wotempo.records.run_folders import CONFIG, VERDICT, run_folders
from wotempo.report.sides import all_sides, sides


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"status": 3, "facts": {}}', b'{"status": "accepted"}', b"\xff\xfe"]
)
def test_a_verdict_that_is_none_is_named(tmp_path, content):
    run_folder(tmp_path / "good", "good")
    run_folder(tmp_path / "bad", "bad")
    (tmp_path / "bad" / VERDICT).write_bytes(content)
    with pytest.raises(Damaged, match=r"bad.verdict.json cannot be read"):
        read_verdict(tmp_path / "bad")
    verdicts, notes = read_verdicts(run_folders(tmp_path))
    assert list(verdicts) == [tmp_path / "good"]
    assert len(notes) == 1
    assert notes[0].startswith("passed over: ")
    found, notes = all_sides([tmp_path])
    assert [side.name for side in found] == ["good"]
    assert "bad" in notes[0]
    with pytest.raises(UserError, match="cannot be read"):
        sides([tmp_path / "bad"])


@pytest.mark.parametrize("content", ["", "- a list", "a: [", "3"])
def test_a_configuration_without_keys_is_named(tmp_path, content):
    (tmp_path / CONFIG).write_text(content)
    with pytest.raises(Damaged, match=r"config.yaml cannot be read"):
        read_config(tmp_path / CONFIG)
