"""Writes the sensor files of one frame: JPEG images and the merged point cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from wotempo.city.sensors.lidar import scan_snapshot
from wotempo.city.sensors.render import render_view
from wotempo.city.sensors.rig import IMAGE_HEIGHT, IMAGE_WIDTH
from wotempo.city.sensors.scenery import Snapshot, take_snapshot
from wotempo.city.sensors.world import Actors, StaticWorld
from wotempo.navsim.images import write_image
from wotempo.navsim.pcd import write_pcd
from wotempo.navsim.schema import STITCHED_CAMERAS, Frame


def write_sensors(
    world: StaticWorld, actors: Actors, frame: Frame, blob_dir: Path, cameras: Sequence[str] = STITCHED_CAMERAS
) -> None:
    """Renders ``cameras`` and the LiDAR sweep of ``frame`` into ``blob_dir`` (``sensor_blobs/<split>``), at the paths
    that the frame names. The frame's token seeds the LiDAR noise, so a frame rendered again is the same file.

    Files appear whole or not at all. Raises ``UserError`` when the disk is full or the folder cannot be written.
    """
    write_snapshot(
        take_snapshot(world, actors, frame.pose, frame.height), frame, blob_dir, cameras, int(frame.token, 16)
    )


def write_snapshot(snapshot: Snapshot, frame: Frame, blob_dir: Path, cameras: Sequence[str], seed: int) -> None:
    """``write_sensors`` of what is there already. ``seed``: of the LiDAR noise."""
    for name in cameras:
        camera = frame.cameras[name]
        write_image(blob_dir / camera.path, enlarge(render_view(snapshot, camera)), quality=85)
    xyz, intensity, ring, lidar_id = scan_snapshot(snapshot, seed=seed)
    write_pcd(blob_dir / frame.lidar_path, xyz, intensity, lidar_id, ring)


def enlarge(image: np.ndarray) -> np.ndarray:
    """(270, 480, 3) -> (1080, 1920, 3) uint8.

    Nothing that a model sees is lost by rendering a quarter of the size: the stitched network input is the full image
    shrunk by four, with crops that are multiples of four, so its pixels are the rendered ones again.
    """
    return cv2.resize(image, (IMAGE_WIDTH, IMAGE_HEIGHT), interpolation=cv2.INTER_LINEAR)
