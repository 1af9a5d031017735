"""Hydra's grammar on the command lines of this program: what is checked is what runs, and mistakes are one sentence."""

from __future__ import annotations

import pytest

from wotempo.command_line.entry import check_jobs
from wotempo.command_line.flags import read_line
from wotempo.command_line.keys import composed
from wotempo.errors import UserError


def jobs(*words: str):
    return check_jobs("train", lambda config: config, read_line(words))


def configs(*words: str):
    return jobs(*words)[1]


def refused(*words: str) -> str:
    with pytest.raises(UserError) as caught:
        jobs(*words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    """With an experiment of the user's own."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\n")
    return tmp_path


def test_options_of_a_group_are_matched():
    asked, found = jobs("--multirun", "experiment=glob(*_1epoch)")
    assert [config.name for config in found] == ["baseline_1epoch", "convgru_1epoch"]
    assert [job.folder for job in asked] == [f"experiment={config.name}/seed=0" for config in found]


def test_a_folder_of_the_users_own_adds_options(folder):
    assert configs(f"--config-dir={folder}", "experiment=mine")[0].name == "mine"
    assert configs("experiment=mine", "--config-dir", str(folder), "seed=3")[0].seed == 3
    assert [c.name for c in configs("-m", "-cd", str(folder), "experiment=glob(m*)")] == ["mine"]
    assert composed("train", ["experiment=mine", f"--config-dir={folder}", "--help"])[0]["name"] == "mine"
    assert "no folder /nowhere" in refused("--config-dir=/nowhere")
    assert "there is no experiment 'mine'" in refused("experiment=mine")


def test_keys_are_deleted_added_and_overridden(folder):
    assert "loader" not in configs("~acceptance.loader")[0].acceptance
    assert [set(c.acceptance) & {"loader"} for c in configs("-m", "~acceptance.loader", "seed=0,1")] == [set(), set()]
    assert configs("++acceptance.loader.max_share=0.4")[0].acceptance["loader"]["max_share"] == 0.4
    assert configs("seed=1", "seed=2")[0].seed == 2
    assert "did you mean" in refused("~acceptance.loder") or "does not exist" in refused("~acceptance.loder")


def test_quotes_choices_ranges_and_packages():
    assert configs("name='a=b, c'")[0].name == "a=b, c"
    assert [c.seed for c in configs("-m", "seed=range(1,4)")] == [1, 2, 3]
    assert [c.optimiser.lr for c in configs("-m", "optimiser.lr=choice(1e-3,2e-3)")] == [1e-3, 2e-3]
    assert [c.name for c in configs("-m", "name='a,b',c")] == ["a,b", "c"]
    assert [c.seed for c in configs("seed=4", "--multirun", "trainer.batch_size=sort(2,1)")] == [4, 4]
    assert configs("+fusion@acceptance.extra=none", "~acceptance.extra")[0].name == "run"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["stray"], "'stray' is not of the form key=value"),
        (["seed=range(0,2)"], "add --multirun"),
        (["seed=0,1"], "add --multirun"),
        (["-m", "seed=interval(0,1)"], "names no values"),
        (["-m", "fusion=glob(nothing*)"], "matches nothing: known: attention"),
        (["-m", "optimiser.lr=glob(*)"], "there is no such group"),
        (["seed=[1"], "cannot be read"),
        (["--multirum"], "unrecognized arguments"),
        (["--experimental-rerun", "x"], "what a pickle says"),
        (["--config-name", "x"], "every command has its own"),
        (["--resolve"], "--cfg job"),
        (["--cfg", "job", "--multirun"], "exclude each other"),
        (["-m", "hydra/sweeper=basic", "hydra.sweeper._target_=x.Y"], "make search"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence):
    assert sentence in refused(*words)


def test_flags_go_first_and_those_that_show_something_check_nothing():
    line = read_line(["a=1", "-m", "~b", "-cd", "x", "c=2"])
    assert line.words == ["--multirun", "--config-dir=x", "a=1", "~b", "c=2"]
    for words in (["--cfg", "job"], ["--cfg=hydra", "seed=1"], ["--info", "config"], ["--hydra-help"]):
        assert read_line(words).shows
        assert jobs(*words) == ([], [])


# ---- folders of a sweep


def folders(*words: str) -> list[str]:
    return [job.folder for job in jobs("--multirun", *words)[0]]


def test_what_is_varied_names_the_folder_whatever_is_left_out_else():
    assert folders("experiment=baseline_1epoch", "variant=none,convgru", "seed=0,1") == [
        f"variant={variant}/seed={seed}" for variant in ("none", "convgru") for seed in (0, 1)
    ]
    for key, values in {
        "experiment": ("baseline_1epoch", "convgru_1epoch"),
        "model": ("wote", "wote_tiny"),
        "trainer.limit_train_batches": ("2", "3"),
        "profile": ("full", "smoke"),
    }.items():
        assert folders(f"{key}={','.join(values)}") == [f"{key}={value}/seed=0" for value in values]


def test_every_folder_is_one_name_below_the_sweep():
    assert folders("seed=0,1") == ["run/seed=0", "run/seed=1"]  # nothing else is varied: not /seed=0
    slashed = folders("data.val.logs=a/b.yaml,../../c.yaml,'x'")
    assert [len(name.split("/")) for name in slashed] == [2, 2, 2]
    assert slashed[2] == "data.val.logs='x'/seed=0"
    long = folders(f"name=choice({'a' * 300},{'a' * 301})")
    assert len(set(long)) == 2
    assert max(len(name.split("/")[0]) for name in long) == 255


@pytest.mark.parametrize(
    "words", [["seed=0,0"], ["run_dir=/tmp/x", "seed=0,1"], ["hydra.sweep.subdir=x", "seed=0,1"], ["variant=none,none"]]
)
def test_two_jobs_with_one_folder_are_refused_before_the_first(words):
    assert "two jobs of this sweep want the folder" in refused("--multirun", *words)
