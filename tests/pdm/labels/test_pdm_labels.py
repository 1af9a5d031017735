"""Labels on disk, anchors, and the two agents without a model."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pdm_builders import golden_scene, make_frame, make_scene
from threadpoolctl import threadpool_limits

from wotempo.errors import UserError
from wotempo.maps import map_contents, read_map
from wotempo.navsim.files import Stamp
from wotempo.navsim.index.columns import columns_of
from wotempo.navsim.index.stored import StoredLog
from wotempo.navsim.lock import locked
from wotempo.navsim.schema import Log, Scene
from wotempo.navsim.scores import ScoreTable
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.anchors import cluster_anchors
from wotempo.pdm.context import SceneContext
from wotempo.pdm.labels import label
from wotempo.pdm.labels.engines import Engine
from wotempo.pdm.labels.label import label_shard
from wotempo.pdm.labels.label_parts import made_of_scenes, read_part
from wotempo.targets import open_labels

LOCATION = "us-nv-las-vegas-strip"  # of all the scenes
PLACE = f"map of {LOCATION}"


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


def label_scenes(
    scenes: list[Scene], maps: Path, anchors: np.ndarray, out: Path, workers: int = 1, **options: Any
) -> ScoreTable:
    """The table of all scenes, as the preparation of a run makes it."""
    table = label_shard(scenes, maps, anchors, out, Engine(workers=workers), wait=True, **options)
    assert table is not None
    return table


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


class Indexed(StoredLog):
    """A log of whose file the index knows the hash."""

    def __init__(self, held: Log, content: str) -> None:
        super().__init__(Path(f"{held.name}.pkl"), held.split, Stamp(1, 1), columns_of(held), content=content)
        self.__dict__["held"] = held

    @property
    def whole(self) -> Log:
        return self.held


def of_files(scenes: list[Scene], contents: dict[str, str]) -> list[Scene]:
    """The scenes in logs of such hashes."""
    logs = {id(scene.log): scene.log for scene in scenes}
    indexed = {key: Indexed(log, contents[log.name]) for key, log in logs.items()}
    return [replace(scene, log=indexed[id(scene.log)]) for scene in scenes]


def test_labels_of_a_log_that_was_replaced_are_not_taken(scenes, maps, anchors, tmp_path) -> None:
    out, before = tmp_path / "labels", of_files(scenes, {"log_a": "aa", "log_b": "bb"})
    table = label_scenes(before, maps, anchors, out)
    assert table.made_of == {"golden/log_a": "aa", "golden/log_b": "bb", **map_contents(maps, [LOCATION])}
    label_scenes(scenes, maps, anchors, out)  # of logs of which no hash is known
    after = of_files(scenes, {"log_a": "aa", "log_b": "cc"})
    kept = bytes_of(out)
    with pytest.raises(UserError, match=r"labels of 1 of 3 logs and maps .* changed since, first golden/log_b; delete"):
        label_scenes(after, maps, anchors, out)
    with pytest.raises(UserError, match="other files of 1 of 3 logs and maps, first golden/log_b: write"):
        table.require_files({"golden/log_a": "aa", "golden/log_b": "cc"})
    assert bytes_of(out) == kept
    assert label_scenes(after, maps, anchors, out, overwrite=True).made_of["golden/log_b"] == "cc"


def test_parts_of_a_log_that_was_replaced_are_made_again(scenes, maps, anchors, tmp_path) -> None:
    before, after = (of_files(scenes, {"log_a": "aa", "log_b": last}) for last in ("bb", "cc"))
    label_shard(before, maps, anchors, tmp_path / "labels", Engine(), 1, shards=2)
    (part,) = tmp_path.glob(".labels.parts-*/*.npz")
    for scenes_of, taken in ((before, True), (after, False)):
        of_log_b = [scene for scene in scenes_of if scene.log.name == "log_b"]
        found = read_part(part.parent, of_log_b, len(anchors), made_of_scenes(scenes_of, maps))
        assert (found is not None) is taken


def test_labels_and_parts_of_a_map_that_was_replaced_are_not_taken(scenes, maps, anchors, tmp_path) -> None:
    other, out, half = tmp_path / "maps", tmp_path / "labels", tmp_path / "half"
    shutil.copytree(maps, other)
    label_scenes(scenes, maps, anchors, out)
    label_shard(scenes, maps, anchors, half, Engine(), 1, shards=2)
    assert len(label_scenes(scenes, other, anchors, out)) == 3  # of the same bytes elsewhere
    with closing(sqlite3.connect(read_map(other, LOCATION).path)) as file:
        file.execute("UPDATE gpkg_contents SET description = 'another'")
        file.commit()
    with pytest.raises(UserError, match=f"labels of 1 of 1 logs and maps whose files changed since, first {PLACE};"):
        label_scenes(scenes, other, anchors, out)
    (part,) = tmp_path.glob(".half.parts-*/*.npz")
    for maps_root, taken in ((maps, True), (other, False)):
        found = read_part(part.parent, scenes[2:], len(anchors), made_of_scenes(scenes, maps_root))
        assert (found is not None) is taken


def test_the_labels_of_another_user_are_read(scenes, maps, anchors, tmp_path, monkeypatch) -> None:
    label_scenes(scenes, maps, anchors, tmp_path / "labels")
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(label, "locked", lambda *_: pytest.fail("nothing can be written there"))
    assert len(label_scenes(scenes, maps, anchors, tmp_path / "labels")) == 3


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
    town = read_map(maps, LOCATION)
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


def test_constant_velocity_has_single_precision_as_the_devkits_agent_has() -> None:
    scene = make_scene([make_frame(ego_velocity=(13.123456789, 0.987654321))])
    velocity = np.array(scene.current.velocity, np.float32)
    speed = (velocity**2).sum(-1) ** 0.5
    official = np.array([[(k + 1) * 0.5 * speed, 0.0, 0.0] for k in range(8)], np.float32)
    poses = constant_velocity_poses(scene)
    assert poses.dtype == official.dtype
    np.testing.assert_array_equal(poses, official)
    assert np.abs(poses[:, 0] - 0.5 * np.arange(1, 9) * np.hypot(13.123456789, 0.987654321)).max() > 1e-7


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def with_unfit(scenes) -> list[Scene]:
    """The scenes, between them one with a route that the map does not hold, and one whose pose is not finite."""
    frames = [replace(f, token=f"a{f.token[1:]}", roadblock_ids=("77777",)) for f in scenes[2].log.frames]
    blind = [replace(f, token=f"b{f.token[1:]}") for f in scenes[2].log.frames]
    blind[0] = replace(blind[0], velocity=np.array([np.nan, 0]))
    lost = replace(make_scene(frames), log=Log("log_c", "golden", frames))
    return [scenes[0], lost, scenes[1], scenes[2], replace(lost, log=Log("log_d", "golden", blind))]


def test_a_scene_that_cannot_be_scored_is_named_and_has_no_row(with_unfit, maps, anchors, tmp_path) -> None:
    table = label_scenes(with_unfit, maps, anchors, tmp_path / "labels")
    assert list(table.rows) == [with_unfit[k].token for k in (0, 2, 3)]
    assert list(table.invalid) == [with_unfit[k].token for k in (1, 4)]
    assert "77777" in table.invalid[with_unfit[1].token]
    assert "not finite" in table.invalid[with_unfit[4].token]
    fit = label_scenes([with_unfit[k] for k in (0, 2, 3)], maps, anchors, tmp_path / "fit")
    np.testing.assert_array_equal(table.flags, fit.flags)
    np.testing.assert_array_equal(table.progress, fit.progress)
    with pytest.raises(UserError, match=r"invalid.*77777.*leave it out"):
        table.scores(with_unfit[1].token)
    with pytest.raises(UserError, match=r"2 of 5 scenes could not be scored"):
        open_labels(table.path, anchors, [scene.token for scene in with_unfit])
    open_labels(table.path, anchors, list(table.rows))
    assert label_scenes(with_unfit, maps, anchors, tmp_path / "labels").invalid == table.invalid, "used again"


def test_labels_of_nothing_but_unfit_scenes_are_an_error(with_unfit, maps, anchors, tmp_path) -> None:
    with pytest.raises(UserError, match=r"none of the 1 scenes can be scored.*77777"):
        label_scenes(with_unfit[1:2], maps, anchors, tmp_path / "labels")


def test_a_missing_map_and_broken_anchors_are_errors_before_any_work(scenes, maps, anchors, tmp_path) -> None:
    frames = [replace(frame, map_location="us-ma-nowhere") for frame in scenes[2].log.frames]
    with pytest.raises(UserError, match="us-ma-nowhere"):
        label_scenes([scenes[0], make_scene(frames)], maps, anchors, tmp_path / "labels", progress=pytest.fail)
    with pytest.raises(UserError, match="not finite"):
        label_scenes(scenes, maps, np.where(anchors > 1, np.nan, anchors), tmp_path / "labels")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_shards_make_the_same_bytes_in_any_order(with_unfit, maps, anchors, tmp_path, order) -> None:
    label_scenes(with_unfit, maps, anchors, tmp_path / "whole")
    out = tmp_path / "shards" / "labels"
    tables = [
        label_shard(with_unfit, maps, anchors, out, Engine(), shard, shards=3, scenes_per_part=1) for shard in order
    ]
    assert [table is None for table in tables] == [True, True, False]
    assert bytes_of(out) == bytes_of(tmp_path / "whole")
    assert [path.name for path in out.parent.iterdir()] == ["labels"]
    late = label_shard(with_unfit, maps, anchors, out, Engine(), 0, shards=3, progress=pytest.fail)
    assert late is not None, "a shard that is sent twice finds the table"


def test_one_call_finishes_what_shards_left(scenes, maps, anchors, tmp_path) -> None:
    out = tmp_path / "labels"
    label_shard(scenes, maps, anchors, out, Engine(), 1, shards=3, scenes_per_part=1)
    reports = []
    table = label_shard(
        scenes, maps, anchors, out, Engine(), scenes_per_part=1, progress=lambda *report: reports.append(report)
    )
    assert reports == [(1, 3), (2, 3), (3, 3)]
    assert table is not None
    assert list(table.rows) == [scene.token for scene in scenes]


def test_threads_of_blas_change_no_bit(scenes, maps, anchors, tmp_path) -> None:
    label_scenes(scenes, maps, anchors, tmp_path / "one")
    with threadpool_limits(4):
        label_scenes(scenes, maps, anchors, tmp_path / "four")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "four")


def test_two_runs_on_one_table_are_an_error(scenes, maps, anchors, tmp_path) -> None:
    out = tmp_path / "labels"
    with (
        locked(tmp_path / ".labels.lock", "x"),
        pytest.raises(UserError, match=r"being written by process \d+ on .*wait"),
    ):
        label_shard(scenes, maps, anchors, out, Engine())
    label_shard(scenes, maps, anchors, out, Engine())
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]


def test_a_damaged_part_is_made_again_and_leftovers_go(scenes, maps, anchors, tmp_path) -> None:
    out = tmp_path / "labels"
    label_shard(scenes, maps, anchors, out, Engine(), 0, shards=2)
    (part,) = tmp_path.glob(".labels.parts-*/*.npz")
    part.write_bytes(part.read_bytes()[:-50])
    for leftover in (".labels.123.tmp", ".labels.123.old"):
        (tmp_path / leftover).mkdir()
    (tmp_path / ".labels.1.123.tmp").mkdir()  # of another table
    label_scenes(scenes, maps, anchors, tmp_path / "labels")
    label_scenes(scenes, maps, anchors, tmp_path / "whole")
    assert bytes_of(out) == bytes_of(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".labels.1.123.tmp", "labels", "whole"]


def test_overwriting_starts_anew_once(scenes, maps, anchors, tmp_path) -> None:
    """Parts that a kill left beside a finished table are stale; those of the interrupted overwriting are not."""
    out = tmp_path / "labels"
    label_shard(scenes, maps, anchors, out, Engine(), 0, shards=2)
    (parts,) = tmp_path.glob(".labels.parts-*")
    kept = tmp_path / "kept"
    shutil.copytree(parts, kept)
    label_scenes(scenes, maps, anchors, out)
    shutil.copytree(kept, parts)
    reports = []
    label_scenes(scenes, maps, anchors, out, overwrite=True, progress=lambda *report: reports.append(report))
    assert reports[0] == (0, 3)
    shutil.rmtree(out)
    shutil.copytree(kept, parts)
    reports.clear()
    label_scenes(scenes, maps, anchors, out, overwrite=True, progress=lambda *report: reports.append(report))
    assert reports[0] == (2, 3)
    with pytest.raises(UserError, match="delete"):
        label_shard(scenes, maps, anchors, out, Engine(), 0, shards=2, overwrite=True)
