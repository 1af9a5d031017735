"""The page of a run: what is in it, that it needs nothing else, and that it tells what is lacking and what failed."""

from __future__ import annotations

import io
import json
import re
import shlex
from html import escape

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
from report_runs import run_folder, scored
from scene_samples import samples

from wotempo.commands.report import main
from wotempo.evaluation.report_scenes import _driving
from wotempo.program import program, shell_line
from wotempo.report.curves import PANELS, POINTS, matching, thinned
from wotempo.report.pictures.scene_card import MOVING_BYTES, moving_scene, scene_card
from wotempo.report.run_files import read_files


def page_of(folder) -> str:
    assert main([str(folder)]) == 0
    return (folder / "report.html").read_text()


def test_the_page_holds_everything_and_needs_nothing(tmp_path):
    run = run_folder(tmp_path / "r", "mine", scores=scored())
    np.savez(run / "samples.npz", **samples(1, 4))
    page = page_of(run)
    for expected in ("accepted", "town data", "experiment=x", "0123abcd with uncommitted changes", "Learning rates",
                 "Peak memory", "Share of the gradient", "Seconds per step", "turn", "Scenes of validation",
                 "the loss &lt;rises&gt;"):  # fmt: skip
        assert expected in page, expected
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_what_is_lacking_is_named_with_its_command(tmp_path):
    run = run_folder(tmp_path / "r", "mine")
    page = page_of(run)
    assert f"experiment=x run_dir={run} reuse=true test=true" in page
    assert "experiment=x tracking.pictures=2" in page
    assert f"make resume RUN={run}" in page
    assert "This run did not log: " in page
    old = page_of(run_folder(tmp_path / "old", "mine", scores=scored(kinds=False)))
    assert "before situations were stored" in old


def test_commands_are_quoted_for_the_shell_and_for_hydra(tmp_path):
    run = run_folder(tmp_path / "variant=mine" / "seed=0", "mine")
    file = run / "verdict.json"
    verdict = json.loads(file.read_text())
    arguments = ["model.map_shape=[64, 128]", "run_dir='a=b'", "reuse=true"]
    for start in (["python", "-m", "wotempo.commands.train"], ["wotempo", "train"]):  # as runs recorded it, and do
        verdict["facts"]["command"] = shlex.join([*start, *arguments])
        file.write_text(json.dumps(verdict))
        again = shlex.split(read_files(run).again("test=true"))
        assert again == [*program(), "train", arguments[0], f"run_dir='{run}'", "reuse=true", "test=true"]
        assert escape(shell_line("train", *arguments)) in page_of(run)
    parsed = OverridesParser.create().parse_overrides(again[len(program()) + 1 :])
    assert [override.value() for override in parsed][1:] == [str(run), True, True]


def test_the_best_scenes_are_not_stops():
    rows = scored()
    assert set(_driving(rows)["token"]) == set(rows.loc[~rows["situation_stop"], "token"])
    assert len(_driving(scored(kinds=False))) == len(rows)


def test_a_measured_figure_that_is_no_number(tmp_path):
    run = run_folder(tmp_path / "r", "mine")
    file = run / "verdict.json"
    file.write_text(file.read_text().replace('"measured": 2.5', '"measured": "inf"'))
    assert ">inf<" in page_of(run)


@pytest.mark.parametrize("status", ["rejected", "incomplete"])
def test_an_unaccepted_run_says_so_and_shows_its_diagnosis(tmp_path, status):
    run = run_folder(tmp_path / "r", "mine", status=status)
    (run / "failure").mkdir()
    (run / "failure" / "diagnosis.md").write_text("the likeliest cause: <a rate>")
    page = page_of(run)
    assert "nothing follows from its figures" in page
    assert "the likeliest cause: &lt;a rate&gt;" in page
    assert ("Check the learning rate" in page) == (status == "rejected")


def test_what_cannot_be_reported_on(tmp_path, capsys):
    here = str(tmp_path)
    for wrong, why in (([], "name one run folder"), ([here + "/no"], "there is no folder"),
                       ([here], "no verdict.json"), ([here, "scenes=x"], "scenes is 'x'")):  # fmt: skip
        assert main(wrong) == 2
        assert why in capsys.readouterr().err


def test_long_curves_are_thinned_and_keep_their_level(tmp_path):
    files = read_files(run_folder(tmp_path / "r", "mine"))
    loss = matching(PANELS[0], files.curves)["train"]
    assert len(loss) == 900
    thin = thinned(loss)
    assert len(thin) == POINTS
    assert thin.is_monotonic_decreasing
    assert thin.index[0] == 0


def test_pictures_are_small_and_the_moving_one_moves():
    data = samples(3, 4)
    several = [{name: values[i] for name, values in data.items()} for i in range(3)]
    for sample in several:
        sample |= {"future_truth": sample["bev_truth"], "future_predicted": sample["bev_predicted"]}
        line = np.linspace((10.0, 2.0), (40.0, 12.0), 41)
        sample |= {"camera_plan": line, "camera_expert": line, "camera_all": np.stack([line] * 5)}
    still, moving = scene_card(several[0]), moving_scene(several)
    assert Image.open(io.BytesIO(still)).format == "WEBP"
    assert Image.open(io.BytesIO(moving)).n_frames == 3
    assert len(moving) < MOVING_BYTES
