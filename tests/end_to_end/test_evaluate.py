"""Scoring a checkpoint and the drivers that it has to beat."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
from hydra import compose

from wotempo.config.composition import loaded
from wotempo.errors import UserError
from wotempo.navsim.submission import read_plans, write_plans
from wotempo.records.evidence import token_hash

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def evaluate(run_dir, workspace, *overrides):
    from wotempo.commands.evaluate import work

    given = [f"run_dir={run_dir}", f"workspace={workspace}", "data.preset=micro", "progress_bar=false", *overrides]
    with loaded():
        config = compose("evaluate", overrides=given)
    assert work(config) == 0
    return json.loads((run_dir / "summary.json").read_text())["drivers"]


def test_a_checkpoint_beside_what_it_has_to_beat(train, workspace, tmp_path):
    _, verdict = train("experiment=baseline_1epoch", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = f"checkpoint={verdict['run_dir'] / 'checkpoints' / 'last.ckpt'}"
    drivers = evaluate(tmp_path / "new" / "folder", workspace, checkpoint, "untrained=true", "imitation=true")
    others = {"human", "pdm_closed", "constant_velocity", "ego_status_mlp"}
    assert set(drivers) == others | {"model", "imitation", "untrained"}
    assert drivers["human"]["ade"] == 0
    assert drivers["human"]["score"] > drivers["untrained"]["score"]
    assert len({values["ade"] for values in drivers.values()}) >= 5, "two drivers that plan the same are one"
    assert drivers["pdm_closed"]["score"] > drivers["constant_velocity"]["score"]
    assert "score_low" not in drivers["human"], "one log says nothing about another one"
    rows = pd.read_parquet(tmp_path / "new" / "folder" / "scores.parquet")
    assert rows.groupby("driver").size().nunique() == 1
    for driver, of_driver in rows.groupby("driver"):
        official = pd.read_csv(tmp_path / "new" / "folder" / f"{driver}.csv", index_col=0)
        assert list(official["token"]) == [*of_driver["token"], "average"]
        assert official["score"].iloc[-1] == pytest.approx(drivers[driver]["score"])

    with pytest.raises(UserError, match="another evaluation"):
        evaluate(tmp_path / "new" / "folder", workspace, checkpoint)
    with pytest.raises(UserError, match=r"team\.email"):
        evaluate(tmp_path / "sent", workspace, checkpoint, "submission=true", "team.name=x", "team.authors=[y]")
    with pytest.raises(UserError, match=r"data\.full_history_only=true"):
        evaluate(tmp_path / "v2", workspace, "metric=epdms")
    second = evaluate(tmp_path / "v2", workspace, "metric=epdms", "data.full_history_only=true", "baselines=[human]")
    assert 0 < second["human"]["two_frame_extended_comfort"] <= 1
    narrow = evaluate(tmp_path / "bf16", workspace, checkpoint, "precision=bf16-mixed", "baselines=[]")
    assert set(narrow) == {"model"}
    assert narrow["model"]["ade"] != drivers["model"]["ade"]
    assert abs(narrow["model"]["ade"] - drivers["model"]["ade"]) < 0.5 * drivers["model"]["ade"]


def label(*overrides):
    from wotempo.commands.labels import work

    with loaded():
        work(compose("labels", overrides=["data.preset=micro", "progress_bar=false", *overrides]))


def changed(town, folder, change):
    """A copy of the town whose frames went through ``change``."""
    shutil.copytree(town, folder, copy_function=os.link)
    for file in (folder / "navsim_logs").glob("*/*.pkl"):
        frames = pickle.loads(file.read_bytes())
        file.unlink()
        file.write_bytes(pickle.dumps([change(frame) for frame in frames], protocol=4))
    return f"data.root={folder}"


def without_boxes(frame):
    return {name: value for name, value in frame.items() if name != "anns"}


def elsewhere(frame):
    return {**frame, "ego2global_translation": np.add(frame["ego2global_translation"], (1000.0, 0.0, 0.0))}


def test_logs_that_cannot_be_scored_and_plans_of_a_file(train, workspace, tmp_path, capsys):
    _, verdict = train("experiment=baseline_1epoch", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = f"checkpoint={verdict['run_dir'] / 'checkpoints' / 'last.ckpt'}"
    (town,) = workspace.glob("town-micro-*")
    private = changed(town, tmp_path / "private", without_boxes)
    team = [f"team.{key}=x" for key in ("name", "email", "institution", "country")]
    capsys.readouterr()
    assert (
        evaluate(
            tmp_path / "sent",
            workspace,
            checkpoint,
            private,
            "submission=true",
            "team.authors=[y]",
            "tracking=off",
            *team,
        )
        == {}
    )
    printed = capsys.readouterr().out
    assert printed.count("nothing to score: the logs hold no boxes") == 1
    assert "failed" not in printed
    with pytest.raises(UserError, match="nothing to plan and nothing to score: the logs hold no boxes"):
        evaluate(tmp_path / "nothing", workspace, private)
    with pytest.raises(UserError, match="0% of poses on roads"):
        evaluate(tmp_path / "misfit", workspace, moved := changed(town, tmp_path / "moved", elsewhere))
    for begin in (lambda *given: train("experiment=baseline_1epoch", "profile=smoke", *given), label):
        with pytest.raises(UserError, match="0% of poses on roads"):
            begin(f"run_dir={tmp_path / 'misfit_too'}", f"workspace={workspace}", moved)

    model = evaluate(tmp_path / "model", workspace, checkpoint, "baselines=[]", "tracking=off")["model"]
    for file in (tmp_path / "model" / "plans.npz", tmp_path / "sent" / "submission.pkl"):
        again = evaluate(tmp_path / f"again_{file.name}", workspace, f"plans={file}", "baselines=[]", "tracking=off")
        assert again == {"plans": model}
    assert "have no plan" not in capsys.readouterr().out
    some = dict(list(read_plans(file).items())[1:]) | {"f" * 16: np.zeros((8, 3))}
    write_plans(tmp_path / "some.npz", some)
    fewer = evaluate(tmp_path / "fewer", workspace, f"plans={tmp_path / 'some.npz'}", "baselines=[]", "tracking=off")[
        "plans"
    ]
    assert (fewer["failed"], fewer["scenes"]) == (1, model["scenes"])
    printed = capsys.readouterr().out
    assert f"plans: 1 of {model['scenes']} tokens have no plan and count as 0" in printed
    assert f"1 of {len(some)} plans are of tokens that are not scored here, first ffffffffffffffff" in printed


def test_scenes_without_sensor_files_are_left_out_and_counted(train, workspace, tmp_path, capsys):
    _, verdict = train("experiment=baseline_1epoch", "profile=smoke", "trainer.max_epochs=1")
    given = (f"checkpoint={verdict['run_dir'] / 'checkpoints' / 'last.ckpt'}", "baselines=[human]", "tracking=off")
    (town,) = workspace.glob("town-micro-*")
    holes = changed(town, tmp_path / "holes", lambda frame: frame)
    used = read_plans(tmp_path / "whole" / "plans.npz") if evaluate(tmp_path / "whole", workspace, *given) else {}
    frames = {
        path.stem: pickle.loads(path.read_bytes()) for path in (tmp_path / "holes/navsim_logs/test").glob("*.pkl")
    }
    first, second = [frame for of_log in frames.values() for frame in of_log if frame["token"] in used][1:3]
    (tmp_path / "holes/sensor_blobs/test" / first["cams"]["CAM_F0"]["data_path"]).unlink()
    damaged = tmp_path / "holes/sensor_blobs/test" / second["lidar_path"]
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"CAM_F0|\.pcd"):
        evaluate(tmp_path / "refused", workspace, *given, holes)
    capsys.readouterr()
    drivers = evaluate(tmp_path / "some", workspace, *given, holes, "data.missing=drop")
    assert {name: values["scenes"] for name, values in drivers.items()} == dict.fromkeys(drivers, len(used) - 2)
    assert all(values["failed"] == 0 for values in drivers.values())
    summary = json.loads((tmp_path / "some" / "summary.json").read_text())
    about, (tokens,) = summary["token_set"], json.loads((tmp_path / "some" / "tokens.json").read_text()).values()
    assert (about["metric"], about["count"], about["left_out"]) == ("pdms v1.1", len(used) - 2, 2)
    assert about["failed"] == {"human": 0, "model": 0}
    assert about["hash"] == tokens["hash"] == token_hash(set(used) - {first["token"], second["token"]})
    table = pd.read_csv(tmp_path / "some" / "model.csv")
    assert set(zip(table["metric"], table["token_set"], strict=True)) == {("pdms v1.1", about["hash"])}
    coverage = summary["coverage"]
    assert coverage["lost"] == {"without all their sensor files": 2}
    printed = capsys.readouterr().out
    assert f"first {first['token']}: a sensor file is absent" in printed
    assert f"first {second['token']}: " in printed
    assert f"test: {len(used) - 2} scenes; left out: 2 without all their sensor files" in printed


def test_what_history_changes_in_the_plans_of_a_split(train, workspace, tmp_path, capsys):
    _, verdict = train("fusion=mean", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = f"checkpoint={verdict['run_dir'] / 'checkpoints' / 'last.ckpt'}"
    evaluate(tmp_path / "mean", workspace, checkpoint, "baselines=[]", "history=true")
    found = json.loads((tmp_path / "mean" / "summary.json").read_text())["history"]
    assert 0 < found["output_change"] < 1
    assert found["plan_change_m"] > 0
    assert "history: without it the map changes by" in capsys.readouterr().out
    _, single = train("fusion=none", "profile=smoke", "trainer.max_epochs=1")
    checkpoint = f"checkpoint={single['run_dir'] / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(UserError, match="history=false"):
        evaluate(tmp_path / "none", workspace, checkpoint, "baselines=[]", "history=true")
    with pytest.raises(UserError, match="give checkpoint"):
        evaluate(tmp_path / "nothing", workspace, "baselines=[human]", "history=true")
