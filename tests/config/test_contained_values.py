"""Names, paths and look-ups of a configuration or a log that comes from elsewhere stay where they belong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from wotempo.capacity.job_script import job_script
from wotempo.capacity.machine import MachineConfig
from wotempo.commands import resume
from wotempo.config.stored import require_own_places, stored
from wotempo.errors import UserError, require_name

LEADS_OUT = ["../../..", "/tmp/x", "a/../../b", "a/b", "x\n#SBATCH --wrap=id", "x\nid", "-x", "", ".", "..", "a b",
             "a;id", "$(id)", "`id`", "a|b", "<b>", "x" * 200, "a\0", "a\r", "=cmd()"]  # fmt: skip


@pytest.mark.parametrize("name", LEADS_OUT)
def test_a_name_that_leads_out_or_would_be_read_is_refused(name):
    with pytest.raises(UserError, match="name is"):
        require_name("name", name)


@pytest.mark.parametrize("name", ["convgru_1epoch", "transfuser_run", "a-b.c", "lr=1e-4,seed=1", "v2+ema"])
def test_ordinary_names_pass(name):
    require_name("name", name)


MACHINE = MachineConfig(partition=None, account=None, qos=None, gpus=0, cpus=1, memory_gb=1, ceiling_gb=1.0, hours=1.0,
                        batch_size=1, price_per_gpu_hour=None, setup=[], warn_seconds=60, max_restarts=0)  # fmt: skip


def test_a_line_break_of_a_folder_becomes_no_line_of_the_job():
    with pytest.raises(UserError, match="cannot be an option of sbatch"):
        job_script(MACHINE, "run", Path("/srv/x\nrm -rf y"), Path("/srv/runs/a"), [])


def test_an_argument_with_a_line_break_stays_one_argument(tmp_path):
    """Whatever the command line says is quoted: bash reads the script, and runs what it must and no more."""
    notes = "tracking.notes=x'\ntouch ran\n$(touch ran)`touch ran`"
    text = job_script(
        MACHINE, "run", tmp_path, tmp_path / "runs", ["tracking.notes=x'\ntouch ran\n$(touch ran)`touch ran`"]
    )
    stand_in = text.replace("exec ", "exec printf %s\\\\0 ", 1)
    done = subprocess.run(["bash", "-c", stand_in], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert notes in done.stdout.split("\0")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "value",
    ["${oc.env:HOME}", "a ${oc.env:HOME,none} b", "${oc.decode:${oc.env:HOME}}", "${oc.create:{a: 1}}",
     "${hydra:job.name}", "${workspace}", "${now:%Y}"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["name", "tracking", "acceptance"])
def test_a_stored_configuration_looks_nothing_up(tmp_path, value, place):
    nested = {"name": value, "tracking": {"tags": ["a", value]}, "acceptance": {"loss": {"_target_": value}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"planner": "wote", place: nested[place]}))
    with pytest.raises(UserError, match=rf"config\.yaml.*{place}.*would be looked up here"):
        stored(tmp_path)


def test_a_stored_configuration_of_values_is_read(tmp_path):
    (tmp_path / "config.yaml").write_text("planner: wote\nname: a $5 run {x}\n")
    assert OmegaConf.select(stored(tmp_path), "name") == "a $5 run {x}"


def test_a_run_folder_that_was_sent_runs_nothing(tmp_path):
    """``resume``, as a process of its own: a class of the sender's file is refused before anything is imported."""
    (tmp_path / "payload.py").write_text("open('ran', 'w')\nclass Guard: ...\n")
    code = """
from wotempo.config.stored import stored, checked
from pathlib import Path
from wotempo.config.composition import compose_checked
from hydra import initialize_config_module
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
with initialize_config_module("wotempo.configs", version_base="1.3"):
    config = compose_checked("train", ["run_dir=x"])
config.acceptance["loss"] = {"_target_": "payload.Guard"}
Path("config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
from wotempo.errors import UserError
try:
    checked(Path("."), stored(Path(".")), {})
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "acceptance.loss._target_ is 'payload.Guard', which is no criterion" in done.stdout
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, in which a project lies; its neighbours are elsewhere."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def places(**given) -> SimpleNamespace:
    data = SimpleNamespace(**{"cache": None, "root": None, **{k: v for k, v in given.items() if k != "workspace"}})
    return SimpleNamespace(workspace=given.get("workspace", "workspace"), data=data)


@pytest.mark.parametrize("value", ["{out}", "../elsewhere", "{out}/not/there", "/etc", "{here}/link"])
@pytest.mark.parametrize("key", ["workspace", "cache", "root"])
def test_a_place_that_a_sent_run_would_write_to_is_refused(here, key, value):
    out = here.parent / "elsewhere"
    out.mkdir()
    (out / "letters").write_text("of somebody")
    (here / "link").symlink_to(out)
    config = places(**{key: value.format(out=out, here=here)})
    full = key if key == "workspace" else f"data.{key}"
    with pytest.raises(UserError, match=rf"run/config\.yaml: {full} is .*, outside of this folder.*{full}=<folder>"):
        require_own_places(Path("run"), config)
    require_own_places(Path("run"), config, {full: "elsewhere"})  # the command line names it


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("workspace", "cache/town/frames-1"),
        ("workspace", "town-micro-0-ab/city.unfinished.json"),
        ("workspace", "labels/town-1/index.json"),
        ("cache", "town/targets-1"),
        ("root", "navsim_logs"),
    ],
)
def test_places_of_this_folder_and_those_that_runs_have_made_are_used(here, key, made):
    (here.parent / "mine" / made).mkdir(parents=True)
    require_own_places(Path("run"), places(**{key: str(here.parent / "mine")}))
    require_own_places(Path("run"), places())
    require_own_places(Path("run"), places(workspace=str(here / "new"), cache="caches/new"))


def test_resume_asks_where_a_sent_run_may_write(here, capsys):
    folder = here / "runs" / "sent"
    with initialize_config_module("wotempo.configs", version_base="1.3"):
        raw = compose("train", overrides=[f"run_dir={folder}", "trainer=cpu", f"workspace={here.parent / 'home'}"])
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(raw, resolve=True))
    (folder / "verdict.json").write_text('{"status": "incomplete", "reason": "killed", "facts": {}}')
    assert resume.main([str(folder)]) == 2
    assert "config.yaml: workspace is" in capsys.readouterr().err
    assert not (here.parent / "home").exists()
