"""A multirun is judged from what was asked: a job that was refused, crashed or never ran has its row, and code 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from wotempo.command_line import entry
from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.records.seal import SEAL, seal_of
from wotempo.runs.asked import ENDED, LIST
from wotempo.runs.sweep import SweepTable


@pytest.fixture
def sweep(tmp_path, monkeypatch, capsys):
    """``sweep(work, *words) -> (exit code, rows of sweep.json by variant, what was printed)``, without training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    monkeypatch.setattr(SweepTable, "asked", [])
    monkeypatch.setattr(SweepTable, "worst", None)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")

    def run(work, *words: str):
        monkeypatch.setattr(sys, "argv", ["train", "--multirun", f"hydra.sweep.dir={tmp_path / 'sweep'}", *words])
        with pytest.raises(SystemExit) as ended:
            entry.run("train", RunConfig, lambda config: None, work)
        file = tmp_path / "sweep" / "sweep.json"
        rows = {row["variant"]: row for row in json.loads(file.read_text())} if file.is_file() else {}
        return ended.value.code, rows, capsys.readouterr()

    return run


def leave(run_dir: str, status: str, code: int, **parts) -> int:
    """The verdict of a run in its folder."""
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    verdict = {"status": status, "exit_code": code, "reason": "as it ended", "written": "2026", "steps": 3,
               "criteria": [], "facts": {"name": "run", "seed": 0}, **parts}  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps({**verdict, SEAL: seal_of(verdict)}))
    return code


def accepted(config) -> int:
    return leave(config.run_dir, "accepted", 0)


def refusing(name: str, error: BaseException):
    """Accepts all jobs but the one of this name, which raises."""

    def work(config) -> int:
        if config.name == name:
            raise error
        return accepted(config)

    return work


def test_all_accepted_is_0_and_the_list_is_written_first(sweep, tmp_path):
    def work(config) -> int:
        listed = json.loads((tmp_path / "sweep" / LIST).read_text())["jobs"]
        assert [job["folder"] for job in listed] == ["name=a/seed=0", "name=b/seed=0"]
        assert sys.argv[1] == "--multirun"
        assert "hydra.sweep.subdir" not in " ".join(sys.argv)
        return accepted(config)

    code, rows, _ = sweep(work, "name=a,b")
    assert code == 0
    assert {name: row["status"] for name, row in rows.items()} == {"name=a": "accepted", "name=b": "accepted"}
    assert (tmp_path / "sweep" / "name=a" / "seed=0" / ENDED).is_file()


@pytest.mark.parametrize(
    ("error", "status"),
    [(UserError("there is no such log: name another"), "refused"), (ValueError("a fault"), "crashed")],
)
def test_a_job_that_leaves_no_verdict_has_its_row(sweep, error, status):
    code, rows, printed = sweep(refusing("b", error), "name=a,b")
    assert code == 1
    assert rows["name=a"]["status"] == "accepted"
    assert rows["name=b"]["status"] == status
    assert str(error) in rows["name=b"]["reason"]
    assert f"✗ name=b, seed 0: {rows['name=b']['status']}: " in printed.out


def test_a_verdict_of_another_run_is_none_of_the_job_that_was_refused_there(sweep, tmp_path):
    leave(str(tmp_path / "sweep" / "name=b" / "seed=0"), "accepted", 0)
    code, rows, _ = sweep(refusing("b", UserError("holds another run")), "name=a,b")
    assert code == 1
    assert (rows["name=b"]["status"], rows["name=b"]["reason"]) == ("refused", "holds another run")


def test_a_job_that_fails_after_its_verdict_is_not_accepted(sweep):
    def work(config) -> int:
        accepted(config)
        return 3 if config.name == "b" else 0

    code, rows, _ = sweep(work, "name=a,b")
    assert (code, rows["name=b"]["status"]) == (1, "crashed")


def test_a_torn_verdict_neither_hides_the_others_nor_passes(sweep):
    def work(config) -> int:
        accepted(config)
        if config.name == "b":
            (Path(config.run_dir) / "verdict.json").write_text("{")
        return 0

    code, rows, printed = sweep(work, "name=a,b")
    assert (code, rows["name=b"]["status"], rows["name=a"]["status"]) == (1, "damaged", "accepted")
    assert printed.out.count("verdict.json cannot be read") == 1


def test_other_commands_without_a_table_are_judged_by_their_jobs(sweep, monkeypatch, tmp_path):
    words = ("~hydra.callbacks.table", "name=a,b")
    assert sweep(accepted, *words)[0] == 0
    assert sweep(refusing("b", UserError("no")), *words)[0] == 1


def test_jobs_of_an_earlier_command_stay_in_the_table_and_do_not_count(sweep):
    assert sweep(refusing("b", UserError("no")), "name=a,b")[0] == 1
    code, rows, _ = sweep(accepted, "name=a,c")
    assert code == 0
    assert {name: row["status"] for name, row in rows.items()} == {
        "name=a": "accepted", "name=b": "refused", "name=c": "accepted",
    }  # fmt: skip


def test_two_experiments_are_two_runs(sweep):
    code, rows, _ = sweep(accepted, "experiment=baseline_1epoch,convgru_1epoch", "profile=smoke")
    assert code == 0
    assert set(rows) == {"experiment=baseline_1epoch", "experiment=convgru_1epoch"}


def test_values_with_slashes_have_their_rows(sweep):
    code, rows, _ = sweep(accepted, "data.val.logs=null,/nonexistent.yaml")
    assert code == 0
    assert len(rows) == 2


def test_a_deletion_is_one_in_a_sweep_too(sweep):
    seen = []
    sweep(
        lambda config: seen.append("loader" in config.acceptance) or accepted(config), "~acceptance.loader", "seed=0,1"
    )
    assert seen == [False, False]
