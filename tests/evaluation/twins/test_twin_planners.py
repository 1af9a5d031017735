"""Real planners in twins: without history they have nothing, whatever the batches; with it they are told apart."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from defaults import run_config
from small_run import SMALL

from wotempo.config.schema import RunConfig
from wotempo.datasets import dataset_of, split_scenes
from wotempo.errors import UserError
from wotempo.evaluation.planning import plan_all
from wotempo.evaluation.twins.watch import TwinWatch
from wotempo.navsim import fingerprint
from wotempo.preparation.anchors import anchors_of
from wotempo.report.twins import TITLES, with_interval
from wotempo.training.module import LitPlanner


def silent(what: str, done: int, total: int) -> None:
    pass


def planner(config: RunConfig, anchors: np.ndarray) -> LitPlanner:
    """With random weights, the fusion stage's among them; it drives the anchors themselves."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = LitPlanner(config.model.to_dict(), config.fusion, asdict(config.optimiser), config.losses,
                            anchors, fingerprint(anchors), config.planner)  # fmt: skip
        for parameter in module.model.fusion.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        for parameter in module.model.sim_reward_heads.parameters():  # untrained they hardly tell anything apart
            torch.nn.init.normal_(parameter, std=1.0)
        for parameter in module.model.offset_head.parameters():
            torch.nn.init.zeros_(parameter)
    return module.eval()


def measured(workspace: Path, batch: int, *overrides: str) -> pd.DataFrame:
    """The table of a planner that is shown the pairs in mixed order."""
    config = run_config(*SMALL, f"workspace={workspace}", "model.evaluate_refined=false", *overrides)
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.ready(silent)
    anchors = anchors_of(dataset, paths, split_scenes(dataset, paths, "train", silent), 16, silent)
    scenes = split_scenes(dataset, paths, "test", silent)
    watch = TwinWatch.begin(paths, "test", scenes)
    assert watch is not None
    members = list(watch.twins.scenes.values())
    mixed = [members[i] for i in np.random.default_rng(0).permutation(len(members))]
    module = planner(config, anchors)
    plans = plan_all(module, config, paths, mixed, silent, batch_size=batch, accelerator="cpu", precision="32-true",
                     readings=watch.over("model", module))  # fmt: skip
    return watch.rows(dataset, paths, {"model": plans}, silent)


@pytest.mark.parametrize("stage", ["none", "repeat_current"])
def test_a_planner_without_history_has_one_half_and_no_gain(twin_space, stage):
    for batch in (1, 2, 8):
        rows = measured(twin_space, batch, f"variant={stage}")
        assert (rows["cases"] > 0).any(), "no anchor loses a point in one member: these twins ask nothing"
        assert set(rows["accuracy"].dropna()) == {0.5}
        assert (rows["pdms"] == rows["swapped"]).all()
        assert rows["one_plan"].all()
        value = {name: with_interval(rows, name)[0] for name in TITLES}
        assert (value["pair_accuracy"], value["swap_gain"]) == (0.5, 0.0)
        assert value["share"] <= 1e-9
        np.testing.assert_allclose(rows["chosen"], rows["pdms"], atol=1e-9)
        assert (rows["pdms"] <= rows["blind"] + 1e-9).all()


def test_a_planner_with_history_is_told_from_one_without(twin_space):
    rows = measured(twin_space, 2, "variant=convgru")
    assert not set(rows["accuracy"].dropna()) <= {0.5}
    assert (rows["chosen"] <= rows["knowing"] + 1e-9).all()


def test_a_planner_of_another_length_is_refused(twin_space):
    with pytest.raises(UserError, match=r"sees 3 frames, 1 apart.*fusion\.num_frames=4"):
        measured(twin_space, 2, "variant=convgru", "fusion.num_frames=3")
