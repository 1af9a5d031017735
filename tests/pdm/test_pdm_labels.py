"""Labels on disk, anchors, and the two agents without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pdm_builders import golden_scene, make_frame, make_scene

from wotempo.errors import UserError
from wotempo.maps import read_map
from wotempo.navsim.schema import Log, Scene
from wotempo.pdm import label
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.anchors import cluster_anchors
from wotempo.pdm.context import SceneContext
from wotempo.pdm.engines import Engine
from wotempo.pdm.label import label_scenes, label_shard


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, np.ndarray]:
    with np.load(golden_dir / "pdm" / "official_v11.npz") as file:
        return dict(file)


@pytest.fixture
def scenes(golden: dict[str, np.ndarray]) -> list[Scene]:
    """Two logs: the first with two scenes, one of them displaced by a metre."""
    first, second = golden_scene(golden, 0), golden_scene(golden, 1)
    frames = first.log.frames
    # 6 s after the first: no window reaches from one into the other.
    late = [
        replace(f, token=f"{k:016d}", pose=f.pose + np.array([1, 0, 0]), timestamp_us=f.timestamp_us + 6_000_000)
        for k, f in enumerate(frames, 1)
    ]
    log = Log("log_a", "golden", [*frames, *late])
    return [Scene(log, 0), Scene(log, len(frames)), Scene(replace(second.log, name="log_b"), 0)]


@pytest.fixture
def maps(golden_dir: Path) -> Path:
    return golden_dir / "navsim" / "maps"


@pytest.fixture
def anchors(golden: dict[str, np.ndarray]) -> np.ndarray:
    return golden["proposals"][0, :16]


def test_table_holds_the_scores(scenes, maps, golden, tmp_path) -> None:
    reports = []
    anchors = golden["proposals"][0]
    table = label_scenes(scenes, maps, anchors, tmp_path / "labels", progress=lambda *report: reports.append(report))
    assert reports == [(0, 3), (2, 3), (3, 3)]
    table.require_anchors(anchors)
    nc, dac, ep, ttc, comfort = table.scores(scenes[0].token)
    for name, values in {"nc": nc, "dac": dac, "ttc": ttc, "comfort": comfort}.items():
        np.testing.assert_array_equal(values, golden[f"0_official_{name}"])
    np.testing.assert_allclose(ep, golden["0_official_ep"], atol=5e-4)  # float16
    assert not np.array_equal(table.scores(scenes[1].token), table.scores(scenes[0].token))
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]


def test_size_of_the_parts_does_not_matter(scenes, maps, anchors, tmp_path) -> None:
    whole = label_scenes(scenes, maps, anchors, tmp_path / "whole")
    reports = []
    engine = Engine()
    cut = label_shard(
        scenes, maps, anchors, tmp_path / "cut", engine, progress=lambda *r: reports.append(r), scenes_per_part=1
    )
    assert reports == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert cut.rows == whole.rows
    np.testing.assert_array_equal(cut.flags, whole.flags)


def test_processes_write_what_one_writes(scenes, maps, anchors, tmp_path) -> None:
    one = label_scenes(scenes, maps, anchors, tmp_path / "one")
    two = label_scenes(scenes, maps, anchors, tmp_path / "two", workers=2)
    assert one.rows == two.rows
    np.testing.assert_array_equal(one.flags, two.flags)
    np.testing.assert_array_equal(one.progress, two.progress)


def test_table_is_used_again_only_when_everything_agrees(scenes, maps, anchors, tmp_path, monkeypatch) -> None:
    out = tmp_path / "labels"
    label_scenes(scenes, maps, anchors, out)
    monkeypatch.setattr(label, "label_part", None)  # any work would fail now
    again = label_scenes(scenes[::-1], maps, anchors, out)
    assert len(again) == 3
    with pytest.raises(UserError, match=r"anchors .* allow overwriting"):
        label_scenes(scenes, maps, anchors + 1, out)
    with pytest.raises(UserError, match="3 scenes, not these 2"):
        label_scenes(scenes[:2], maps, anchors, out)
    monkeypatch.setattr(label, "SCORER_VERSION", "next")
    with pytest.raises(UserError, match="not next"):
        label_scenes(scenes, maps, anchors, out)


def test_overwriting(scenes, maps, anchors, tmp_path) -> None:
    out = tmp_path / "labels"
    label_scenes(scenes, maps, anchors, out)
    (out / "flags.npy").write_bytes(b"")  # damaged
    with pytest.raises(UserError, match="not a complete score table"):
        label_scenes(scenes, maps, anchors, out)
    table = label_scenes(scenes[:1], maps, anchors[:4], out, overwrite=True)
    assert list(table.rows) == [scenes[0].token]
    assert table.flags.shape == (1, 4)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_table_is_never_replaced(scenes, maps, anchors, tmp_path, overwrite) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not a score table"):
        label_scenes(scenes, maps, anchors, tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").exists()


def test_interrupted_run_goes_on_where_it_stopped(scenes, maps, anchors, tmp_path, monkeypatch) -> None:
    whole = label_scenes(scenes, maps, anchors, tmp_path / "whole")
    work, done = label.label_part, []

    def stop_at_second(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(arguments[-1][0].token)
        return work(*arguments)

    monkeypatch.setattr(label, "label_part", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        label_scenes(scenes, maps, anchors, tmp_path / "labels")
    assert not (tmp_path / "labels").exists()
    parts = []
    monkeypatch.setattr(label, "label_part", lambda *a: parts.append(a[-1][0].token) or work(*a))
    resumed = label_scenes(scenes, maps, anchors, tmp_path / "labels")
    assert parts == [scenes[2].token], "the first log was done"
    np.testing.assert_array_equal(resumed.flags, whole.flags)
    np.testing.assert_array_equal(resumed.progress, whole.progress)


def test_unfit_scenes_are_refused_before_any_work(scenes, maps, anchors, tmp_path) -> None:
    out = tmp_path / "labels"
    short = replace(scenes[2], index=3)
    with pytest.raises(UserError, match=r"1 scenes lack 10 future frames.*num_future_frames"):
        label_scenes([*scenes[:2], short], maps, anchors, out)
    frames = [replace(frame, roadblock_ids=()) for frame in scenes[2].log.frames]
    with pytest.raises(UserError, match=r"lack a route.*has_route"):
        label_scenes([make_scene(frames)], maps, anchors, out)
    with pytest.raises(UserError, match="no scenes"):
        label_scenes([], maps, anchors, out)
    with pytest.raises(UserError, match="twice"):
        label_scenes([scenes[0], scenes[0]], maps, anchors, out)
    assert not out.exists()


def test_context_names_the_scene_that_cannot_be_scored(scenes, maps) -> None:
    town = read_map(maps, "us-nv-las-vegas-strip")
    with pytest.raises(UserError, match=f"scene {scenes[2].log.frames[3].token} .*11 frames"):
        SceneContext.build(replace(scenes[2], index=3), town)
    lost = make_scene([replace(frame, roadblock_ids=("77777",)) for frame in scenes[2].log.frames])
    with pytest.raises(UserError, match=f"scene {lost.token} .*77777"):
        SceneContext.build(lost, town)


def test_anchors_are_found_and_do_not_change() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 20, (5, 8, 3))
    futures = centres[rng.integers(0, 5, 400)] + rng.normal(0, 0.1, (400, 8, 3))
    found = cluster_anchors(futures, 5, seed=3)
    assert found.dtype == np.float32
    distance = np.abs(found[:, None] - centres).max((2, 3))
    np.testing.assert_array_equal(np.sort(distance.argmin(1)), np.arange(5))
    assert distance.min(1).max() < 0.1
    np.testing.assert_array_equal(found, cluster_anchors(futures, 5, seed=3))


def test_more_anchors_than_futures() -> None:
    with pytest.raises(UserError, match="3 futures cannot make 4 anchors"):
        cluster_anchors(np.zeros((3, 8, 3)), 4)


def test_human_poses_are_relative_to_the_current_frame() -> None:
    frames = [make_frame(k, pose=(100, 50 + 2.0 * k, np.pi / 2)) for k in range(9)]
    expected = np.stack([2.0 * np.arange(1, 9), np.zeros(8), np.zeros(8)], -1)
    np.testing.assert_allclose(human_poses(make_scene(frames)), expected, atol=1e-9)
    with pytest.raises(UserError, match="7 of 8"):
        human_poses(make_scene(frames[:8]))


def test_constant_velocity_uses_the_speed_whatever_its_direction() -> None:
    poses = constant_velocity_poses(make_scene([make_frame(ego_velocity=(3, 4))]))
    np.testing.assert_allclose(poses[:, 0], 2.5 * np.arange(1, 9))
    assert not poses[:, 1:].any()
