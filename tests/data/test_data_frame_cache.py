from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny_dataset import SENSOR_FRAMES, SPEC, SPLIT, TARGETS, read_scenes

from wotempo.data import FrameCache, FrameRef
from wotempo.data.target_cache import TargetCache
from wotempo.errors import UserError
from wotempo.features import camera_feature, lidar_feature
from wotempo.navsim.images import read_image, write_image
from wotempo.navsim.pcd import read_pcd
from wotempo.navsim.schema import STITCHED_CAMERAS, DataPaths


def sensor_frames(scenes, log="straight") -> list[FrameRef]:
    found = next(scene.log for scene in scenes if scene.log.name == log)
    return [FrameRef(SPLIT, frame) for frame in found.frames[:SENSOR_FRAMES]]


@pytest.fixture
def dataset_copy(dataset, tmp_path) -> DataPaths:
    shutil.copytree(dataset.root, tmp_path / "navsim")  # keeps modification times
    return DataPaths(tmp_path / "navsim", tmp_path / "navsim/maps")


def test_records_are_the_features_of_the_files(dataset, scenes, tmp_path):
    refs = sensor_frames(scenes)
    cache = FrameCache(tmp_path, dataset, SPEC)
    assert cache.build([*refs, *refs]).built == len(refs)  # once each
    reader = cache.reader(refs)
    blobs = dataset.blob_dir(SPLIT)
    for i, frame in enumerate(ref.frame for ref in refs):
        images = {name: read_image(blobs / frame.cameras[name].path) for name in STITCHED_CAMERAS}
        record = reader.read(i)
        np.testing.assert_array_equal(record["camera"].transpose(1, 2, 0), camera_feature(images, SPEC))
        np.testing.assert_array_equal(record["lidar"][0], lidar_feature(read_pcd(blobs / frame.lidar_path), SPEC))


def test_processes_write_what_one_process_writes(dataset, scenes, tmp_path):
    refs = [*sensor_frames(scenes), *sensor_frames(scenes, "gap")]
    heard = []
    one, many = FrameCache(tmp_path / "one", dataset, SPEC), FrameCache(tmp_path / "many", dataset, SPEC)
    one.build(refs)
    many.build(refs, workers=2, progress=lambda *news: heard.append(news))
    assert sorted(news[1] for news in heard) == [0, 10, 20]  # log by log
    for i in range(len(refs)):
        assert one.reader(refs).read(i) == many.reader(refs).read(i)


def test_only_a_changed_source_and_other_parameters_are_computed(dataset_copy, tmp_path):
    refs = sensor_frames(read_scenes(dataset_copy))
    cache = FrameCache(tmp_path, dataset_copy, SPEC)
    assert cache.build(refs).built == 10
    assert cache.build(refs).built == 0
    changed = dataset_copy.blob_dir(SPLIT) / refs[3].frame.cameras["CAM_R0"].path
    write_image(changed, np.full((1080, 1920, 3), 200, np.uint8))
    assert cache.build(refs).built == 1
    assert (cache.reader(refs).read(3)["camera"][:, :, -16:] == 200).all()
    assert FrameCache(tmp_path, dataset_copy, replace(SPEC, lidar_max=4)).build(refs).built == 10


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sensor", ["image", "cloud"])
def test_a_truncated_file_is_named(dataset_copy, tmp_path, sensor, workers):
    refs = [*sensor_frames(read_scenes(dataset_copy)), *sensor_frames(read_scenes(dataset_copy), "gap")]
    frame = refs[4].frame
    path = dataset_copy.blob_dir(SPLIT) / (frame.cameras["CAM_F0"].path if sensor == "image" else frame.lidar_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=str(path)):
        FrameCache(tmp_path, dataset_copy, SPEC).build(refs, workers=workers)


def test_an_image_of_another_size_is_named(dataset_copy, tmp_path):
    refs = sensor_frames(read_scenes(dataset_copy))
    path = dataset_copy.blob_dir(SPLIT) / refs[0].frame.cameras["CAM_L0"].path
    write_image(path, np.zeros((270, 480, 3), np.uint8))
    with pytest.raises(UserError, match=rf"{path}.*\(270, 480, 3\)"):
        FrameCache(tmp_path, dataset_copy, SPEC).build(refs)


def test_missing_files_are_counted_or_left_out_as_told(dataset_copy, tmp_path):
    refs = sensor_frames(read_scenes(dataset_copy))
    gone = [dataset_copy.blob_dir(SPLIT) / refs[i].frame.lidar_path for i in (2, 5)]
    for path in gone:
        path.unlink()
    cache = FrameCache(tmp_path, dataset_copy, SPEC)
    with pytest.raises(UserError, match=f"2 of 10 frames.*{gone[0]}"):
        cache.build(refs)
    assert cache.build(refs[:1], optional=refs).built == 8
    np.testing.assert_array_equal(np.flatnonzero(~cache.has(refs)), [2, 5])
    with pytest.raises(UserError, match="lacks 2 of 10"):
        cache.reader(refs)


def test_targets_are_re_used_until_the_log_or_the_map_changes(dataset_copy, tmp_path):
    scenes = read_scenes(dataset_copy, ("straight",))
    cache = TargetCache(tmp_path, dataset_copy, TARGETS)
    assert cache.build(scenes).built == len(scenes)
    assert cache.build(scenes).built == 0
    assert TargetCache(tmp_path, dataset_copy, replace(TARGETS, num_sampled=4)).build(scenes).built == 0
    assert TargetCache(tmp_path, dataset_copy, replace(TARGETS, mode="compat")).build(scenes).built == len(scenes)
    log = dataset_copy.log_dir(SPLIT) / "straight.pkl"
    log.write_bytes(log.read_bytes())  # a new modification time
    assert cache.build(scenes).built == len(scenes)
    city = next(dataset_copy.maps.glob("us-nv-las-vegas-strip/*/map.gpkg"))
    city.write_bytes(city.read_bytes())
    assert cache.build(scenes).built == len(scenes)
