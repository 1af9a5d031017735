"""A dataset with twin scenes: trained on, judged, scored at the end, evaluated, and its bound printed."""

from __future__ import annotations

import json
import shutil
import sys

import pandas as pd
import pytest
from hydra import compose
from twin_town import twin_workspace
from verdicts import criterion

from wotempo.config.composition import loaded
from wotempo.errors import UserError
from wotempo.navsim.twins import FILE, read_twins, write_twins
from wotempo.report.twins import ALL, TWINS_FILE, read_twin_rows
from wotempo.tracking.dashboard_panels import TWINS
from wotempo.tracking.summary import scores_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
EVALUATED = ("data.preset=micro", "progress_bar=false", "baselines=[human]")


@pytest.fixture(scope="module")
def space(micro_workspace, tmp_path_factory):
    return twin_workspace(micro_workspace, tmp_path_factory.mktemp("twins") / "workspace", {"val": 3, "test": 3})


def evaluate(run_dir, space, *overrides):
    from wotempo.commands.evaluate import work

    with loaded():
        config = compose("evaluate", overrides=[f"run_dir={run_dir}", f"workspace={space}", *EVALUATED, *overrides])
    assert work(config) == 0
    return json.loads((run_dir / "summary.json").read_text())


def test_from_training_to_the_bound(train, space, study, tmp_path, capsys, monkeypatch):
    judged = ("acceptance.history_pays.policy=warn", "acceptance.history_pays.min_pairs=2")
    _, verdict = train("experiment=convgru_1epoch", "profile=smoke", "trainer.max_epochs=1", "test=true",
                       f"workspace={space}", *judged)  # fmt: skip
    found, run = criterion(verdict, "history_pays"), verdict["run_dir"]
    assert found["status"] in ("pass", "fail"), found["message"]
    assert found["details"]["pairs"] == 3
    rows = read_twin_rows(run / TWINS_FILE)
    assert list(rows["kind"]) == ["crossing", "elsewhere", "crossing"]
    assert (rows["knowing"] >= rows["blind"]).all()
    assert "twins: pair accuracy" in capsys.readouterr().out
    told = scores_of(run)
    of_twins = {name for name in told if name.startswith("test/twins/")}
    assert "test/twins/swap_gain" in of_twins <= {name for panel in TWINS for name in panel.names}

    checkpoint = f"checkpoint={run / 'checkpoints' / 'last.ckpt'}"
    summary = evaluate(tmp_path / "all", space, checkpoint)
    twins = summary["twins"]
    assert twins["bound"][ALL]["pairs"] == 3
    assert set(twins["drivers"]) == {"human", "model"}
    assert "pair_accuracy" not in twins["drivers"]["human"][ALL], "an expert predicts nothing of anchors"
    again = pd.read_parquet(tmp_path / "all" / TWINS_FILE)
    again = again[again["driver"] == "model"].reset_index(drop=True)
    for name in ("pdms", "swapped", "blind", "knowing", "accuracy"):
        assert again[name].to_numpy() == pytest.approx(rows[name].to_numpy(), abs=1e-6, nan_ok=True)
    assert "twin scenes of test" in capsys.readouterr().out

    picture = tmp_path / "pair.png"
    name = rows["pair"][0]
    assert study("twin_picture", str(run), f"pair={name}", f"out={picture}") == 0
    assert f"{name}: {picture}" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert study("twin_picture", str(run), "pair=nobody", f"out={picture}") == 2
    assert "no pair of the test split is called 'nobody'" in capsys.readouterr().err

    assert study("twins_bound", "profile=micro", f"workspace={space}", f"run_dir={tmp_path / 'bound'}",
                 f"hydra.run.dir={tmp_path / 'hydra'}", "trainer.progress_bar=false") == 0  # fmt: skip
    known = json.loads((tmp_path / "bound" / "twins_bound.json").read_text())["splits"]
    assert {split: of[ALL]["pairs"] for split, of in known.items()} == {"val": 3, "test": 3}
    assert known["test"][ALL]["blind"] == twins["bound"][ALL]["blind"]
    assert sys.argv[0] == "twins_bound"


def test_a_single_frame_run_is_not_asked(train, space):
    _, verdict = train("experiment=baseline_1epoch", "profile=smoke", "trainer.max_epochs=1", f"workspace={space}",
                       "acceptance.history_pays.policy=fail")  # fmt: skip
    assert criterion(verdict, "history_pays")["message"] == "single frame"


def test_twins_that_cannot_be_measured_are_refused(train, space, tmp_path):
    broken = shutil.copytree(space, tmp_path / "broken")
    (town,) = broken.glob("town-micro-*")
    with pytest.raises(UserError, match="lost a member"):
        evaluate(tmp_path / "few", broken, "data.test.max_scenes=5")
    twins = read_twins(town)
    (town / FILE).unlink()
    write_twins(town, type(twins)("another", twins.num_frames, twins.pairs))
    with pytest.raises(UserError, match="of the town another"):
        evaluate(tmp_path / "other", broken)
    with pytest.raises(UserError, match="of the town another"):
        train("experiment=convgru_1epoch", "profile=smoke", f"workspace={broken}")
