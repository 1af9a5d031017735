"""A tiny dataset on disk in NAVSIM format: two drives on one straight street, sensors for the frames windows need.

``straight``: 18 frames without a gap. ``gap``: 20 frames, two seconds missing before frame 5.
"""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import shapely

from wotempo.features import FeatureSpec
from wotempo.maps import MAP_VERSIONS, PROJECTED_CRS
from wotempo.maps.writer import write_map, write_map_root
from wotempo.navsim.images import write_image
from wotempo.navsim.log_writer import write_log
from wotempo.navsim.logs import read_log
from wotempo.navsim.pcd import write_pcd
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import CAMERAS, Boxes, Camera, DataPaths, Frame, Scene
from wotempo.needs import WindowNeeds
from wotempo.targets import TargetSpec

LOCATION = "us-nv-las-vegas-strip"
SPLIT = "trainval"
ORIGIN = np.array([664_321.25, 3_998_765.5])
SENSOR_FRAMES = 10  # the last 10 frames of a log are only ever future
NUM_ANCHORS = 12

SPEC = FeatureSpec(image_height=32, image_width=128)
TARGETS = TargetSpec(mode="fixed")
NEEDS = WindowNeeds(frames=4, anchors=True, labels=True)


def token(log: str, i: int) -> str:
    return f"{sum(log.encode()):08x}{i:08x}"


def make_frame(log: str, i: int, time_s: float) -> Frame:
    name = f"{log}_{i}"
    cameras = {
        camera: Camera(f"{log}/{camera}/{name}.jpg", np.eye(3), np.zeros(3), np.eye(3), np.zeros(5))
        for camera in CAMERAS
    }
    tracks = ["a", "b"]
    return Frame(
        token=token(log, i),
        frame_idx=i,
        timestamp_us=1_600_000_000_000_000 + round(time_s * 1e6),
        log_name=log,
        log_token="0",
        scene_name="scene",
        scene_token="0",
        map_location=LOCATION,
        vehicle_name="veh",
        pose=np.array([ORIGIN[0] + 6.0 * time_s, ORIGIN[1] + 0.02 * time_s**2, 0.01 * time_s]),
        height=0.4,
        velocity=np.array([6.0, 0.5]),
        acceleration=np.array([0.1 * i, 0.0]),
        yaw_rate=0.01,
        command=np.array([0, 1, 0, 0]),
        roadblock_ids=("11",),
        traffic_lights=(),
        cameras=cameras,
        lidar_path=f"{log}/MergedPointCloud/{name}.pcd",
        boxes=Boxes(
            np.array([[12.0 + i, 3.0, 0.5, 4.5, 2.0, 1.5, 0.1], [8.0, -6.0, 0.5, 0.7, 0.7, 1.7, 0.0]]),
            np.array(["vehicle", "pedestrian"]),
            np.zeros((2, 3)),
            [f"{name}_{track}" for track in tracks],
            tracks,
        ),
    )


def write_sensors(blobs: Path, frame: Frame, generator: np.random.Generator) -> None:
    for camera in ("CAM_L0", "CAM_F0", "CAM_R0"):
        blocks = generator.integers(0, 255, (9, 16, 3), dtype=np.uint8)
        write_image(blobs / frame.cameras[camera].path, blocks.repeat(120, 0).repeat(120, 1))
    points = generator.uniform([-35, -35, -1], [35, 35, 4], (500, 3)).astype(np.float32)
    other = np.zeros(500, np.uint8)
    write_pcd(blobs / frame.lidar_path, points, other, other, other)


def write_street(maps: Path) -> None:
    """One lane, one connector, one walkway along x."""

    def frame(shapes: list, fids: list[int], **columns) -> geopandas.GeoDataFrame:
        return geopandas.GeoDataFrame({"fid": fids, **columns}, geometry=shapes)

    def strip(x0: float, x1: float, y0: float, y1: float) -> shapely.Polygon:
        return shapely.box(ORIGIN[0] + x0, ORIGIN[1] + y0, ORIGIN[0] + x1, ORIGIN[1] + y1)

    def line(x0: float, x1: float) -> shapely.LineString:
        x = np.arange(x0, x1 + 0.5) + ORIGIN[0]
        return shapely.LineString(np.stack([x, np.full_like(x, ORIGIN[1])], -1))

    layers = {
        "lanes_polygons": frame([strip(-50, 150, -2, 2)], [1], lane_group_fid=[11], speed_limit_mps=[15.0]),
        "lane_connectors": frame(
            [line(150, 170)],
            [2],
            exit_lane_fid=[1],
            entry_lane_fid=[1],
            lane_group_connector_fid=[12],
            speed_limit_mps=[15.0],
        ),
        "baseline_paths": frame(
            [line(-50, 150), line(150, 170)], [1, 2], lane_fid=[1, None], lane_connector_fid=[None, 2]
        ),
        "lane_groups_polygons": frame([strip(-50, 150, -2, 2)], [11]),
        "lane_group_connectors": frame(
            [strip(150, 170, -2, 2)], [12], from_lane_group_fid=[11], to_lane_group_fid=[11]
        ),
        "gen_lane_connectors_scaled_width_polygons": frame([strip(150, 170, -2, 2)], [1], lane_connector_fid=[2]),
        "walkways": frame([strip(-50, 170, 6, 9)], [1]),
    }
    crs = PROJECTED_CRS[LOCATION]
    write_map(maps, LOCATION, layers, crs, store_crs=crs, version=MAP_VERSIONS[LOCATION])
    write_map_root(maps, LOCATION)


def write_dataset(root: Path) -> DataPaths:
    paths = DataPaths(root, root / "maps")
    write_street(paths.maps)
    generator = np.random.default_rng(0)
    times = {"straight": np.arange(18) * 0.5, "gap": np.arange(20) * 0.5 + 2.0 * (np.arange(20) >= 5)}
    for log, seconds in times.items():
        frames = [make_frame(log, i, time_s) for i, time_s in enumerate(seconds)]
        write_log(paths.log_dir(SPLIT) / f"{log}.pkl", frames)
        for frame in frames[:SENSOR_FRAMES]:
            write_sensors(paths.blob_dir(SPLIT), frame, generator)
    return paths


def read_scenes(paths: DataPaths, logs: tuple[str, ...] = ("straight", "gap")) -> list[Scene]:
    """Every window with a full future: 8 + 5 scenes, those at the begin and after the gap with missing history."""
    loaded = [read_log(paths.log_dir(SPLIT) / f"{log}.pkl", SPLIT) for log in logs]
    return find_scenes(loaded, SceneFilter(require_full_history=False))
