"""Searches: what is asked, told and kept. Training is a stand-in that leaves a run's files; see also end_to_end."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from wotempo.capacity.search_space import FOLDER, read_space
from wotempo.commands import search

pytest.importorskip("optuna")
GIVEN = ("experiment=convgru_1epoch", "data.preset=micro")


class Training:
    """Leaves what a run leaves. ``broken``: numbers of trials -> status of their first attempt."""

    def __init__(self, root: Path) -> None:
        self.root, self.broken, self.seen, self.words = root, {}, [], {}

    def __call__(self, words, check):
        values = dict(word.split("=", 1) for word in words[4:])
        folder = self.root.parent / values["hydra.run.dir"]
        number = int(folder.name.removeprefix("trial_"))
        status = self.broken.get(number, "accepted")
        if status == "incomplete":
            del self.broken[number]
        self.words[number] = words
        self.seen.append((number, float(values["optimiser.lr"])))
        folder.mkdir(parents=True, exist_ok=True)
        error = abs(math.log(float(values["optimiser.lr"]) / 1e-3)) + (0 if status == "accepted" else -9)
        (folder / "verdict.json").write_text(json.dumps({"status": status, "facts": {}}))
        (folder / "metrics.json").write_text(json.dumps({"val/ade": error, "val/loss": 1.0}))
        return subprocess.CompletedProcess(words, {"accepted": 0, "incomplete": 143}.get(status, 12))


@pytest.fixture
def training(tmp_path, monkeypatch):
    stand_in = Training(tmp_path / "runs")
    monkeypatch.setattr(search.subprocess, "run", stand_in)
    monkeypatch.chdir(tmp_path)
    return stand_in


def run(*arguments: str) -> int:
    return search.main([*arguments, *GIVEN])


def test_a_search_finds_the_best_of_what_it_tried(training, capsys):
    assert run("run", "trials=12") == 0
    assert len(training.seen) == 12
    told = capsys.readouterr().out
    best = min(training.seen, key=lambda trial: abs(math.log(trial[1] / 1e-3)))
    assert f"best: trial {best[0]}; three seeds of it:" in told
    assert f"optimiser.lr={best[1]}" in told.replace("\n", "")
    assert "seed=0,1,2" in told


def test_what_is_typed_again_goes_on_and_draws_nothing_twice(training):
    run("run", "trials=3")
    run("run", "trials=6")
    run("run", "trials=6")
    assert [number for number, _ in training.seen] == list(range(6))
    assert len({rate for _, rate in training.seen}) == 6


def test_an_interrupted_trial_is_continued_with_what_it_was_asked(training, tmp_path, capsys):
    training.broken = {2: "incomplete"}
    assert run("run", "trials=5") == 143
    assert "trial 2 has not ended (code 143)" in capsys.readouterr().out
    assert run("run", "trials=5") == 0
    numbers = [number for number, _ in training.seen]
    assert numbers == [0, 1, 2, 2, 3, 4]
    assert training.seen[2] == training.seen[3]
    straight = Training(tmp_path / "other" / "runs")
    search.subprocess.run, once = straight, training.seen[:3] + training.seen[4:]
    search.main(["run", "trials=5", *GIVEN], tmp_path / "other" / "runs")
    assert [rate for _, rate in straight.seen] == [rate for _, rate in once]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (["trainer.limit_train_batches=12"], "trainer.limit_train_batches: 3 there, 12 here"),
        (["trainer.limit_train_batches=3", "seed=4"], "seed: 0 there, 4 here"),
        (["profile=smoke"], "acceptance.loss.allow_inconclusive: false there, true here"),
        (["trainer.limit_train_batches=3", "acceptance.loss.min_drop=0.0"], "acceptance.loss.min_drop: 0.01 there"),
    ],
    ids=["batches", "seed", "profile", "criteria"],
)
def test_trials_of_other_settings_are_not_joined(training, capsys, change, names):
    assert run("run", "trials=2", "trainer.limit_train_batches=3") == 0
    assert run("run", "trials=4", *change) == 2
    told = capsys.readouterr().err
    assert "search_learning holds trials of other settings" in told
    assert names in told
    assert len(training.seen) == 2


def test_the_same_settings_in_other_words_go_on(training):
    assert run("run", "trials=1", "trainer.limit_train_batches=3", "tracking=off", "trainer.max_epochs=1") == 0
    assert run("run", "trials=2", "trainer.limit_train_batches=3") == 0
    assert len(training.seen) == 2


def test_trials_of_another_space_are_not_joined(training, tmp_path, capsys):
    text = (FOLDER / "learning.yaml").read_text()
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert run("run", "search=mine.yaml", "trials=1") == 0
    for old, new, says in (
        ("[0.0, 0.05, 0.1]", "[0.0, 0.2]", "optimiser.warmup_fraction was one of 0.0, 0.05, 0.1"),
        ("optimiser.weight_decay", "optimiser.final_fraction", "it searched optimiser.weight_decay"),
    ):
        file.write_text(text.replace(old, new))
        assert run("run", "search=mine.yaml", "trials=2") == 2
        assert says in capsys.readouterr().err
    file.write_text(text.replace("6.0e-3", "7.0e-3"))  # a wider range goes on
    assert run("run", "search=mine.yaml", "trials=2") == 0


def test_the_printed_command_trains_the_best_trial_again(training, capsys):
    given = ("trainer.limit_train_batches=3", "acceptance.loss.policy=warn", "seed=7", "test=false")
    assert run("run", "trials=2", *given) == 0
    told = "".join(capsys.readouterr().out.splitlines())
    number = int(told.partition("best: trial ")[2].partition(";")[0])
    printed = shlex.split(told.partition("three seeds of it: ")[2])
    trained = [word for word in training.words[number] if word.split("=")[0] not in ("seed", "test", "reuse")]
    kept = [word for word in trained if not word.startswith("hydra.")]
    assert set(kept) - set(printed) <= {*kept[:4]}  # how this Python is called
    assert {*given[:2], "seed=0,1,2", "test=true"} <= set(printed)
    assert not {"seed=7", "test=false"} & set(printed)


@pytest.mark.parametrize("status", ["rejected", "crashed"])
def test_a_run_that_is_not_accepted_cannot_win(training, capsys, status):
    training.broken = {0: status}  # with by far the best figure
    assert run("run", "trials=3") == 0
    told = capsys.readouterr().out
    assert "best: trial 0" not in told
    assert status in told


def test_nothing_accepted_is_exit_code_1(training):
    training.broken = dict.fromkeys(range(3), "rejected")
    assert run("run", "trials=3") == 1


def test_ask_prints_commands_for_a_queue_and_tell_reads_them(training, capsys):
    commands = []
    for _ in range(2):
        assert run("ask") == 0
        commands.append(shlex.split(capsys.readouterr().out))
    assert commands[0][-4:] != commands[1][-4:]
    assert all(words[:4] == [sys.executable, "-m", "wotempo", "train"] for words in commands)
    training(commands[1], check=False)
    assert run("tell") == 0
    told = capsys.readouterr().out
    assert "best: trial 1" in told
    assert "not begun" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["walk"], "say first what to do: run, ask, tell"),
        (["run", "trials=many"], "trials is 'many'"),
        (["run", "search=lerning"], "there is no search 'lerning': did you mean 'learning'?"),
        (["run", "optimiser.rate=1"], "unknown config key 'optimiser.rate'"),
    ],
)
def test_mistakes_are_one_sentence(training, capsys, arguments, says):
    assert run(*arguments) == 2
    assert says in capsys.readouterr().err
    assert not training.seen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metric: val/ade\nspace: {}\n", "must hold metric, direction and space"),
        ("metric: val/ade\nspace: {\n", "cannot be read"),
        ("a: &a [x]\nmetric: *a\n", "it holds an alias"),
        ("metric: [x]\ndirection: minimize\nspace: {}\n", "metric is ['x']"),
        ("metric: val/ade\ndirection: up\nspace: {}\n", "set it to minimize or maximize"),
        ("metric: val/ade\ndirection: minimize\nspace: {seed: {low: 3, high: 1}}\n", "numbers low: below high:"),
        ("metric: val/ade\ndirection: minimize\nspace: {optimiser.lr: {low: 0.0, high: 0.1, log: true}}\n", "above 0"),
        ("metric: val/ade\ndirection: minimize\nspace: {seed: {low: 1, high: 9, step: 0}}\n", "step: above 0"),
        ("metric: val/ade\ndirection: minimize\nspace: {seed: {low: 1, high: 9, step: 0.5}}\n", "step: above 0"),
        ("metric: val/ade\ndirection: minimize\nspace: {optimiser.rl: {low: 1, high: 2}}\n", "unknown config key"),
        ("metric: val/pdms\ndirection: maximize\nspace: {optimiser.lr: {low: 0.1, high: 0.2}}\n", "val/ade, val/loss"),
    ],
)
def test_a_wrong_space_is_named(training, tmp_path, capsys, text, says):
    (tmp_path / "mine.yaml").write_text(text)
    assert run("run", "search=mine.yaml", "trials=1") == 2
    assert says in capsys.readouterr().err


def test_another_metric_needs_another_search(training, tmp_path, capsys):
    assert run("run", "trials=1") == 0
    changed = (FOLDER / "learning.yaml").read_text().replace("val/ade", "val/loss")
    (tmp_path / "learning.yaml").write_text(changed)
    assert run("run", f"search={tmp_path / 'learning.yaml'}", "trials=2") == 2
    assert "searches by val/ade" in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_space_fits_the_configuration(file, training):
    space = read_space(file.stem)
    for corner in space.corners():
        search.check_command_line("train", search.check_config, [*GIVEN, *corner])
