"""The metrics file of a run that was interrupted: each step has one row."""

from __future__ import annotations

from wotempo.runs.metrics_file import MetricsFile, keep_rows


def test_metrics_go_on_without_doubled_or_torn_rows(tmp_path):
    first = MetricsFile(tmp_path)
    for step in range(5):
        first.log_metrics({"loss": 5.0 - step}, step)
    path = tmp_path / "metrics" / "metrics.csv"
    path.write_bytes(path.read_bytes() + b"0.1")
    second = MetricsFile(tmp_path, resume_step=3)
    second.log_metrics({"loss": 2.5}, 3)
    second.log_metrics({"loss": 1.5, "val": 9.0}, 4)
    lines = path.read_text().split()
    assert lines == ["loss,step,val", "5.0,0,", "4.0,1,", "3.0,2,", "2.5,3,", "1.5,4,9.0"]
    assert keep_rows(path, 0) == []
    assert not path.exists()


def test_the_row_of_the_checkpoint_is_added_where_it_is_missing(tmp_path):
    first = MetricsFile(tmp_path)
    first.log_metrics({"loss": 5.0, "epoch": 0}, 0)
    second = MetricsFile(tmp_path, resume_step=2)
    for _ in range(2):
        second.add_missing(1, {"loss": 4.0, "epoch": 0})
    second.log_metrics({"loss": 3.0, "epoch": 0}, 2)
    lines = (tmp_path / "metrics" / "metrics.csv").read_text().split()
    assert lines == ["epoch,loss,step", "0,5.0,0", "0,4.0,1", "0,3.0,2"]


def test_a_first_row_can_be_the_missing_one(tmp_path):
    MetricsFile(tmp_path, resume_step=1).add_missing(0, {"loss": 4.0})
    assert (tmp_path / "metrics" / "metrics.csv").read_text().split() == ["loss,step", "4.0,0"]
