"""What a report lacks, and the commands that it prints: typed as they stand, they bring the part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Browser
from patience import HANGS_S
from small_run import SMALL

from wotempo.commands.report import main

pytestmark = pytest.mark.slow
# As a sweep names folders; Hydra reads a "=" in a value as a mistake unless it is quoted.
RUN = Path("runs", "variant=convgru", "seed=0")


def typed(line: str, home: Path) -> str:
    """A line as the reader of a report types it, in the folder that the run was started in -> what it printed."""
    done = subprocess.run(line, shell=True, cwd=home, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.fixture
def report(home, monkeypatch, capsys):
    """``report(run) -> (page, its commands by what they bring)``, made where the run was started."""
    monkeypatch.chdir(home)

    def make(run: Path) -> tuple[str, dict[str, str]]:
        assert main([str(run), "windows=2", "scenes=1"]) == 0
        told = capsys.readouterr().out
        printed = [line.strip().split(" To have it: ") for line in told.splitlines() if " To have it: " in line]
        return (run / "report.html").read_text(), {what: command for what, command in printed}

    return make


@pytest.fixture(scope="module")
def home(workspace, tmp_path_factory) -> Path:
    """Where a small run was started; it is finished and was not scored on the test split."""
    home = tmp_path_factory.mktemp("home")
    command = [f"{sys.executable} -m wotempo train experiment=convgru_1epoch", f"workspace={workspace}", *SMALL,
               "profile=smoke", "trainer.max_epochs=1", f"\"run_dir='{RUN}'\""]  # fmt: skip
    typed(" ".join(command), home)
    return home


def test_scores_of_the_test_split(home, report):
    page, commands = report(RUN)
    assert "The test split was not scored" in page
    trained = (home / RUN / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    command = commands["Worst and best scenes: the test split was not scored."]
    assert "it is not run again" in typed(command, home)
    assert (home / RUN / "checkpoints" / "last.ckpt").stat().st_mtime_ns == trained
    page, commands = report(RUN)
    assert "The test split was not scored" not in page
    assert '<td><span class="">all scenes</span></td>' in page
    assert "<h2>Worst scenes by PDMS</h2>" in page
    assert not any("test split" in what for what in commands)


def test_scenes_of_validation(home, report):
    page, commands = report(RUN)
    assert "<h2>Scenes of validation</h2>" not in page
    before = set(home.glob("runs/*/*/verdict.json"))
    typed(commands["No scenes of validation: no samples.npz."], home)
    (new,) = set(home.glob("runs/*/*/verdict.json")) - before
    page, _ = report(new.parent)
    assert "<h2>Scenes of validation</h2>" in page


def test_a_real_report_in_a_browser(home, report, tmp_path):
    report(RUN)
    with Browser(tmp_path / "profile") as browser:
        look = browser.look(home / RUN / "report.html", unfolded=True)
    assert (look.width, look.unloaded, look.cut, look.asked, look.console) == (1100, [], [], [], [])
    assert look.images > 6
