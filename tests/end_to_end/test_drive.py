"""A trained checkpoint driven frame by frame plans what the windowed evaluation plans."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hydra import compose

from wotempo.config.composition import loaded
from wotempo.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def drive(run_dir, workspace, *overrides) -> int:
    from wotempo.commands.drive import work

    given = [f"run_dir={run_dir}", f"workspace={workspace}", "data.preset=micro", "progress_bar=false", *overrides]
    with loaded():
        return work(compose("drive", overrides=given))


def test_a_replayed_split_equals_its_evaluation(train, workspace, tmp_path, capsys):
    _, verdict = train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = f"checkpoint={verdict['run_dir'] / 'checkpoints' / 'last.ckpt'}"
    assert drive(tmp_path / "drive", workspace, checkpoint) == 0
    out = capsys.readouterr().out
    assert "streamed and windowed plans: equal" in out
    ade = dict(re.findall(r"(streamed|windowed): ADE (\S+) m", out))
    assert ade["streamed"] == ade["windowed"]
    assert re.search(r"a push: p50 [\d.]+ ms, p90 [\d.]+ ms, p99", out)
    rows = pd.read_parquet(tmp_path / "drive" / "plans.parquet")
    assert rows["planned"].all()
    assert not rows["token"].duplicated().any()
    assert rows["timestamp_us"].is_monotonic_increasing  # one log
    assert all(len(x) == 8 for x in rows["x"])
    with pytest.raises(UserError, match="no log 'elsewhere'"):
        drive(tmp_path / "other", workspace, checkpoint, "log=elsewhere")
