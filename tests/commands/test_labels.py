"""The commands around labels: mistakes by name, where the table lies, what is printed, the estimate of the bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wotempo.command_line.entry import run
from wotempo.commands import label_file, labels
from wotempo.navsim import ScoreTable, read_anchors
from wotempo.pdm.labels import engines
from wotempo.preparation.labels import without_invalid
from wotempo.preparation.progress import Pace, PreparationProgress

SHORT = ("data.kind=navsim", "splits=[train,test]", "progress_bar=false", "workers=1")


@pytest.fixture
def typed_in(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    def command(module, *argv):
        monkeypatch.chdir(tmp_path)
        name = module.__name__.rsplit(".", 1)[-1]
        monkeypatch.setattr(sys, "argv", [name, *argv])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(name, object, module.check, module.work)
        return ended.value.code, *capsys.readouterr()

    return command


def test_labels_then_the_communitys_file_and_back(typed_in, town, tmp_path):
    given = (*SHORT, f"data.root={town}", f"data.anchors={town / 'anchors.npy'}")
    code, out, err = typed_in(labels, *given)
    assert (code, err) == (0, "")
    folder = Path(out.splitlines()[-1])
    assert folder.parent == Path("workspace/labels")
    table = ScoreTable.open(folder)
    table.require_anchors(read_anchors(town / "anchors.npy"))
    assert f"{len(table)} scenes, {len(table)} of them now" in out
    assert "0 invalid" in out
    result = json.loads(next((tmp_path / "runs" / "labels").glob("*/labels.json")).read_text())
    assert result["complete"]
    assert result["bytes_per_scene"] < 3 * 64 + 100

    code, out, _ = typed_in(labels, *given)
    assert (code, "nothing was left to do" in out) == (0, True)

    code, out, err = typed_in(label_file, "direction=export", f"labels={folder}", "file=formatted.npy")
    assert (code, err) == (0, "")
    assert "driving_direction_compliance" in out
    back = ("direction=import", "file=formatted.npy", "labels=back", f"anchors={town / 'anchors.npy'}")
    assert typed_in(label_file, *back)[0] == 0
    assert (tmp_path / "back" / "flags.npy").read_bytes() == (folder / "flags.npy").read_bytes()
    assert (tmp_path / "back" / "progress.npy").read_bytes() == (folder / "progress.npy").read_bytes()
    code, _, err = typed_in(label_file, *back)
    assert (code, "overwrite=true" in err) == (2, True)
    assert typed_in(label_file, *back, "overwrite=true")[0] == 0


def test_a_multirun_is_the_shards(typed_in, town, tmp_path):
    given = (*SHORT, f"data.root={town}", f"data.anchors={town / 'anchors.npy'}", "scenes_per_part=4")
    assert typed_in(labels, *given, "output=whole")[0] == 0
    code, out, _ = typed_in(labels, "--multirun", *given, "output=shards", "shards=3")
    assert code == 0
    assert "job 2: " in out
    assert out.rstrip().endswith("labels: shards")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "shards" / path.name).read_bytes(), path.name


def test_a_multirun_with_a_failing_shard_exits_1(typed_in, town, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    given = (*SHORT, f"data.root={town}", f"data.anchors={town / 'anchors.npy'}", "output=out", "shards=2")
    code, out, err = typed_in(labels, "--multirun", *given)
    assert code == 1
    assert "is not a score table" in err
    assert "job 1: failed" in out


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("splits=[train,vall]",), "did you mean 'val'?"),
        (("preset=wote_tyni",), "did you mean 'wote_tiny'?"),
        (("engine=spark",), "there is no engine 'spark'; known: processes, dask, ray"),
        (("address=tcp://x:1",), "engine=processes works on this machine"),
        (("workers=0",), "workers is 0"),
        (("shards=2",), "shards=2 needs a shard from 0 to 1"),
        (("shards=2", "shard=2"), "shard=2 is none of shards=2"),
        (("shards=2", "shard=0", "overwrite=true"), "delete the table first"),
        (("scenes_per_part=0",), "scenes_per_part is 0"),
        (("outptu=x",), "did you mean 'output'?"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(typed_in, argv, says):
    code, _, err = typed_in(labels, *argv)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_an_engine_that_is_not_installed_says_what_to_install(typed_in, monkeypatch, engine):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    code, _, err = typed_in(labels, f"engine={engine}")
    assert (code, f"pip install {engine}" in err.replace("'", "")) == (2, True)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("direction=import", "labels=x"), "file is missing"),
        (("direction=inport", "labels=x", "file=y"), "did you mean 'import'?"),
        (("direction=import", "labels=x", "file=y"), "does not say which anchors"),
        (("direction=import", "labels=x", "file=y", "anchors=z"), "there is no y"),
        (("direction=export", "labels=x", "file=y"), "there is no x"),
    ],
)
def test_a_mistake_about_the_file(typed_in, argv, says):
    code, _, err = typed_in(label_file, *argv)
    assert (code, says in err, err.count("\n")) == (2, True, 1)


def test_invalid_scenes_are_left_out_and_counted(capsys):
    class Some:
        def __init__(self, token):
            self.token = token

    scenes = {"train": [Some("a"), Some("b")], "val": [Some("c")]}
    kept = without_invalid(scenes, {"b": "no route"})
    assert {split: [s.token for s in members] for split, members in kept.items()} == {"train": ["a"], "val": ["c"]}
    assert "1 scenes are left out, they cannot be scored (first: no route)" in capsys.readouterr().out
    assert without_invalid(scenes, {}) == scenes
    assert capsys.readouterr().out == ""


def test_the_estimate_counts_only_what_this_run_does():
    pace = Pace.start(900, 1000, now=50.0)
    assert pace.remaining(60.0) is None
    pace.update(910, 1000, 60.0)  # one a second
    assert pace.rate == pytest.approx(1.0)
    assert pace.remaining(60.0) == pytest.approx(90.0)
    assert pace.remaining(70.0) == pytest.approx(80.0), "time passes between parts, too"
    assert pace.remaining(1e9) == 0.0
    assert pace.clock(60.0) == "0:01:30"


def test_lines_without_a_terminal(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 40.0, 50.0, 60.0])
    monkeypatch.setattr("wotempo.preparation.progress.time.monotonic", lambda: next(clock))
    progress = PreparationProgress(False)
    for done in (20, 30, 60, 70, 100):
        progress("label", done, 100)
    assert capsys.readouterr().out.splitlines() == [
        "label: 60 of 100, 0:00:40 left",
        "label: 100 in 60.0 s, 20 of them before",
    ]
