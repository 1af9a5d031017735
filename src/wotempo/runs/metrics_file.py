"""``metrics.csv`` of a run that may be interrupted and continued."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from wotempo.navsim import write_bytes
from wotempo.records.reading import Damaged, read_text, readable


class MetricsFile(CSVLogger):
    """Lightning's CSV logger, which would delete the file of the attempt before. Rows from ``resume_step`` on are
    dropped, because the resumed run logs them again; every row is on disk at once, because a killed run flushes
    nothing."""

    def __init__(self, run_dir: Path, resume_step: int = 0) -> None:
        super().__init__(str(run_dir), name="metrics", version="", flush_logs_every_n_steps=1)
        if getattr(rank_zero_only, "rank", 0) == 0:
            path = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
            keys = keep_rows(path, resume_step)
            self._experiment = _Appending(self.log_dir)
            self._experiment.metrics_keys = keys

    def add_missing(self, step: int, metrics: Mapping[str, Tensor | float]) -> None:
        """Log ``metrics`` of a step, unless a row has them."""
        path = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
        text = path.read_bytes().decode() if path.is_file() else ""
        rows = csv.DictReader(io.StringIO(text))
        if not any(row["step"] == str(step) and all(row.get(name) for name in metrics) for row in rows):
            self.log_metrics(dict(metrics), step)


class _Appending(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """The file of the attempt before stays."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        with path.open(newline="") as file:
            _write(path, fieldnames, list(csv.DictReader(file)))


def keep_rows(path: Path, before_step: int) -> list[str]:
    """Drop the rows of ``before_step`` and later, and a last line that was cut off in the middle -> the columns. A file
    that cannot be read is kept under another name, and said."""
    try:
        keys, rows = readable(path, _rows, ([], []))
    except Damaged as damage:
        kept = path.with_suffix(".damaged.csv")
        path.replace(kept)
        print(f"{damage.args[0].partition(': copy')[0]}: it is kept as {kept.name}, and a new one begins", flush=True)
        return []
    rows = [row for row in rows if int(row["step"]) < before_step]
    if not path.is_file():
        return []
    if not rows:
        path.unlink()
        return []
    _write(path, keys, rows)
    return keys


def _rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and whole rows. ValueError where a row is no row of this table."""
    reader = csv.DictReader(io.StringIO(read_text(path).rpartition("\n")[0]), strict=True)
    rows = list(reader)
    keys = list(reader.fieldnames or ())
    if rows and ("step" not in keys or len(set(keys)) < len(keys)):
        raise ValueError("it has no column step, or one twice")
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("its rows have different lengths")
    rows = [row for row in rows if row["step"]]
    if not all(row["step"].isdecimal() and len(row["step"]) < 10 for row in rows):
        raise ValueError("its column step holds what is no step")
    return keys, rows


def _write(path: Path, keys: list[str], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=keys)
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
