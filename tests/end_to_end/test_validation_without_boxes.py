"""A run whose validation logs hold no boxes: it trains, plans for them, and says what it cannot judge."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import pytest

from wotempo.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def bare(town, folder, split):
    """A copy of the town in which the logs of ``split`` hold no boxes."""
    shutil.copytree(town, folder, copy_function=os.link)
    lists = json.loads((folder / "splits.json").read_text())[split]
    for log in lists["logs"]:
        file = folder / "navsim_logs" / lists["split"] / f"{log}.pkl"
        frames = pickle.loads(file.read_bytes())
        file.unlink()
        kept = [{name: value for name, value in frame.items() if name != "anns"} for frame in frames]
        file.write_bytes(pickle.dumps(kept, protocol=4))
    return f"data.root={folder}"


def test_criterion_plan_is_skipped_where_validation_has_no_boxes(train, workspace, tmp_path, capsys):
    (town,) = workspace.glob("town-micro-*")
    _, verdict = train("experiment=baseline_1epoch", "profile=smoke", bare(town, tmp_path / "bare", "val"))
    assert "val: the logs hold no boxes: it is planned for and not scored" in capsys.readouterr().out
    (plan,) = [c for c in verdict["criteria"] if c["name"] == "plan"]
    assert plan["status"] == "skipped", verdict["reason"] + plan["message"]
    assert "their logs hold no boxes" in plan["message"]
    assert verdict["status"] != "crashed", verdict["reason"]
    assert not [c["name"] for c in verdict["criteria"] if c["status"] == "fail"]
    with pytest.raises(UserError, match="train: the logs hold no boxes"):
        train("experiment=baseline_1epoch", "profile=smoke", bare(town, tmp_path / "nothing", "train"))
