"""Twins that cannot be measured are refused by name, before a run begins as in an evaluation."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from defaults import run_config
from small_run import SMALL

from wotempo.datasets import dataset_of, split_scenes
from wotempo.errors import UserError
from wotempo.navsim.twins import FILE, Twins, read_twins, write_twins
from wotempo.preparation.twin_pairs import check_twins, require_reach, twins_of


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def logs(twin_space, tmp_path):
    """Where the logs lie, with a ``twins.json`` of their own, and the scenes of val."""
    config = run_config(*SMALL, f"workspace={twin_space}")
    dataset = dataset_of(config.data, config.workspace)
    paths = dataset.ready(silent)
    for name in (FILE, "city.json"):
        shutil.copy(paths.root / name, tmp_path / name)
    return replace(paths, root=tmp_path), split_scenes(dataset, paths, "val", silent)


def test_both_scenes_of_each_pair_are_found(logs):
    paths, scenes = logs
    found = twins_of(paths, "val", scenes)
    assert found is not None
    assert len(found.pairs) == 4
    assert set(found.scenes) == {token for pair in found.pairs for token in pair.tokens}
    assert twins_of(paths, "train", scenes) is None


def test_a_pair_that_lost_a_member_is_named(logs):
    paths, scenes = logs
    twins = read_twins(paths.root)
    assert twins is not None
    lost = twins.of("val")[1].tokens[0]
    kept = [scene for scene in scenes if scene.token != lost]
    with pytest.raises(UserError, match=rf"twins\.json: pair val 1 lost a member.*{lost}.*data\.val\.max_scenes=null"):
        twins_of(paths, "val", kept)
    changed = replace(twins.pairs[0], tokens=("0" * 16, twins.pairs[0].tokens[1]))
    write_twins(paths.root, replace(twins, pairs=(changed, *twins.pairs[1:])))
    with pytest.raises(UserError, match="pair val 0 lost a member, no scene of val has the token 0000000000000000"):
        twins_of(paths, "val", scenes)


def test_the_file_of_another_town_is_named(logs):
    paths, scenes = logs
    twins = read_twins(paths.root)
    assert twins is not None
    write_twins(paths.root, replace(twins, town="another"))
    with pytest.raises(UserError, match=r"twins\.json is of the town another, and this one is e128d4384331"):
        twins_of(paths, "val", scenes)


def test_a_planner_of_another_length_is_named():
    twins = Twins("town", 4, ())
    require_reach(twins, 1, 1)
    require_reach(twins, 4, 1)
    for frames, stride in ((3, 1), (8, 1), (4, 2)):
        with pytest.raises(UserError, match=rf"sees {frames} frames, {stride} apart.*differ in the last 4"):
            require_reach(twins, frames, stride)


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["test=true", "fusion.num_frames=3"], "the planner sees 3 frames"),
        (["acceptance.history_pays.policy=fail", "fusion.frame_stride=2"], "4 frames, 2 apart"),
        (["acceptance.history_pays.policy=fail"], "lost a member"),
        (["fusion.num_frames=3"], None),
        (["test=true", "variant=none"], None),
        ([], None),
    ],
)
def test_a_run_is_refused_before_its_first_step(logs, overrides, why):
    paths, scenes = logs
    config = run_config(*SMALL, *overrides)
    if why is None:
        check_twins(config, paths, {"val": scenes[:1]})
    else:
        with pytest.raises(UserError, match=why):
            check_twins(config, paths, {"val": scenes[:1]})


def test_a_run_on_a_malformed_file_is_refused(logs):
    paths, scenes = logs
    (paths.root / FILE).write_text(json.dumps({"town": "x", "num_frames": 4, "pairs": []}))
    with pytest.raises(UserError, match=r"twins\.json: not a list of twin scenes"):
        check_twins(run_config(*SMALL), paths, {"val": scenes})
