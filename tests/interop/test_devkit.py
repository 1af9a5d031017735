"""The official devkit's own scripts with our agent, beside our evaluation of the same checkpoint.

Runs where NAVSIM_DEVKIT_ROOT names a checkout of the devkit (v1.1 or v2) whose dependencies this Python has.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose

from wotempo.city import city_config, simulate_futures
from wotempo.commands.devkit_scores import main as compare
from wotempo.config.composition import loaded
from wotempo.navsim.dataset import read_splits
from wotempo.planners.config import sizes
from wotempo.training.module import LitPlanner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]
TEAM = {"name": "x", "authors": "[y]", "email": "a@b", "institution": "i", "country": "c"}


@pytest.fixture(scope="module")
def devkit() -> Path:
    root = os.environ.get("NAVSIM_DEVKIT_ROOT")
    if not root or not (Path(root) / "navsim").is_dir():
        pytest.skip("NO NAVSIM DEVKIT: set NAVSIM_DEVKIT_ROOT to a checkout of it")
    lacking = [name for name in ("nuplan", "pyquaternion", "rasterio") if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"NO NAVSIM DEVKIT: this Python lacks {', '.join(lacking)}")
    return Path(root)


@pytest.fixture(scope="module")
def town(devkit, micro_town, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("devkit") / "town"
    shutil.copytree(micro_town, root)
    return root


@pytest.fixture(scope="module")
def checkpoint(town) -> Path:
    """Four frames; anchors of the town, so that some plans are good and some are not."""
    torch.manual_seed(0)
    anchors = simulate_futures(city_config("micro"), sizes("wote_tiny").num_anchors, seed=0)
    module = LitPlanner(sizes("wote_tiny").to_dict(), {"name": "convgru", "num_frames": 4}, anchors=anchors)
    for name, value in module.model.named_parameters():
        if name != "trajectory_anchors":
            value.data.add_(torch.randn_like(value) * 0.01)
    path = town.parent / "epoch=0.ckpt"
    torch.save({"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}, path)
    return path


def script(devkit: Path, town: Path, name: str, *overrides: str) -> None:
    """One of the devkit's scripts on the town's test split."""
    split = read_splits(town)["test"]
    data = {"OPENSCENE_DATA_ROOT": str(town), "NUPLAN_MAPS_ROOT": str(town / "maps")}
    python = os.pathsep.join([str(devkit), *filter(None, sys.path)])
    environment = {**os.environ, **data, "NAVSIM_EXP_ROOT": str(town.parent / "exp"), "PYTHONPATH": python}
    logs = f"train_test_split.scene_filter.log_names=[{','.join(split.logs)}]"
    every = ["train_test_split.scene_filter.frame_interval=1", "worker=sequential", logs]
    command = [sys.executable, str(devkit / "navsim" / "planning" / "script" / name), f"train_test_split={split.split}"]
    done = subprocess.run([*command, *every, *overrides], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def agent(checkpoint: Path, output: Path) -> list[str]:
    searched = "hydra.searchpath=[pkg://navsim.planning.script.config.common,pkg://wotempo.configs]"
    return [searched, "agent=wotempo", f"agent.checkpoint='{checkpoint}'", f"output_dir={output}", "experiment_name=x"]


def test_both_score_every_token_alike(devkit, town, checkpoint, tmp_path, capsys):
    one_stage = (devkit / "navsim" / "planning" / "script" / "run_pdm_score_one_stage.py").is_file()  # v2
    cache = tmp_path / "cache"
    script(devkit, town, "run_metric_caching.py", f"{'metric_cache_path' if one_stage else 'cache.cache_path'}={cache}")
    scorer = "run_pdm_score_one_stage.py" if one_stage else "run_pdm_score.py"
    script(devkit, town, scorer, *agent(checkpoint, tmp_path / "scores"), f"metric_cache_path={cache}")
    (theirs,) = (tmp_path / "scores").glob("*.csv")

    from wotempo.commands.evaluate import work

    paths = [f"data.root={town}", f"data.test.split={read_splits(town)['test'].split}", f"workspace={tmp_path}"]
    given = [
        "data.kind=navsim",
        "data.preset=none",
        "data.full_history_only=true",
        "baselines=[]",
        "progress_bar=false",
    ]
    team = [f"team.{key}={value}" for key, value in TEAM.items()]
    metric = f"metric={'epdms' if one_stage else 'pdms'}"
    run = [f"run_dir={tmp_path / 'ours'}", f"checkpoint='{checkpoint}'", metric, "submission=true"]
    with loaded():
        assert work(compose("evaluate", overrides=[*paths, *given, *team, *run])) == 0
    assert compare([str(tmp_path / "ours" / "model.csv"), str(theirs)]) == 0, capsys.readouterr().out
    rows = pd.read_csv(theirs)[:-1]
    assert len(rows) == 11
    assert rows["score"].nunique() > 2, "scores that are all alike compare nothing"

    signed = [f"{key}={value}" for key, value in TEAM.items()]
    signed[0] = signed[0].replace("name=", "team_name=")
    if one_stage:  # the script wants to be told of a second stage, be it an empty one
        signed.append("+train_test_split.scene_filter.reactive_synthetic_initial_tokens=[]")
    script(devkit, town, "run_create_submission_pickle.py", *agent(checkpoint, tmp_path / "sent"), *signed)
    sys.path.insert(0, str(devkit))
    try:
        sent = pickle.loads((tmp_path / "sent" / "submission.pkl").read_bytes())
        ours = pickle.loads((tmp_path / "ours" / "submission.pkl").read_bytes())
    finally:
        sys.path.remove(str(devkit))
    plans = sent["first_stage_predictions" if one_stage else "predictions"][0]
    assert plans.keys() == ours["predictions"][0].keys()
    for token, trajectory in ours["predictions"][0].items():
        np.testing.assert_allclose(trajectory.poses, plans[token].poses, rtol=0, atol=1e-4)
