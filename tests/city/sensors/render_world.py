"""Small hand-made worlds for the rendering tests: bare ground, and boxes given in the ego frame."""

from __future__ import annotations

import numpy as np

from wotempo.city.sensors.lidar import scan_snapshot
from wotempo.city.sensors.render import render_view
from wotempo.city.sensors.scenery import take_snapshot
from wotempo.city.sensors.world import AXLE_HEIGHT, CLASS_NAMES, Actors, GroundClass, SolidKind, StaticWorld
from wotempo.navsim.schema import Camera

SIZE, CELL = 400, 0.5  # ground cells, metres: a square of 200 m with the ego in its middle
POSE = np.array([664_100.0, 3_997_100.0, 0.7])
BUILDING, POLE, TREE = SolidKind.BUILDING, SolidKind.POLE, SolidKind.TREE


def bare_world(*solids: tuple, ground_class: int = GroundClass.ROAD, pose: np.ndarray = POSE) -> StaticWorld:
    """One class of ground all over. ``solids`` are (kind, box of seven in the ego frame, colour)."""
    boxes = _boxes(solids)
    rows = np.zeros((len(boxes), 11), dtype=np.float32)
    centre = to_global(boxes[:, :3], pose)
    origin = pose[:2] - SIZE * CELL / 2
    rows[:, :2] = centre[:, :2] - origin
    rows[:, 2], rows[:, 3] = centre[:, 2] - boxes[:, 5] / 2, centre[:, 2] + boxes[:, 5] / 2
    rows[:, 4:6], rows[:, 6] = boxes[:, 3:5], boxes[:, 6] + pose[2]
    rows[:, 7:10] = np.reshape([colour for _, _, colour in solids], (-1, 3))
    rows[:, 10] = [kind for kind, _, _ in solids]
    return StaticWorld(np.full((SIZE, SIZE), ground_class, np.uint8), (origin[0], origin[1]), CELL, rows)


def actors(*things: tuple, lights: tuple = (), pose: np.ndarray = POSE) -> Actors:
    """``things`` are (class name, box of seven in the ego frame, colour); ``lights`` six numbers each, likewise."""
    boxes, lamps = _boxes(things), np.reshape(np.array(lights, float), (-1, 6))
    return Actors(
        boxes=np.column_stack((to_global(boxes[:, :3], pose), boxes[:, 3:6], boxes[:, 6] + pose[2])),
        classes=np.array([CLASS_NAMES.index(name) for name, _, _ in things], dtype=np.int64),
        colours=np.reshape([colour for _, _, colour in things], (-1, 3)).astype(np.uint8),
        lights=np.column_stack((to_global(lamps[:, :3], pose), lamps[:, 3:])),
    )


def _boxes(things: tuple) -> np.ndarray:
    return np.reshape(np.array([box for _, box, _ in things], float), (-1, 7))


def to_global(points: np.ndarray, pose: np.ndarray = POSE) -> np.ndarray:
    """Ego-frame points (n, 3) in the global frame."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    x = pose[0] + cos * points[:, 0] - sin * points[:, 1]
    y = pose[1] + sin * points[:, 0] + cos * points[:, 1]
    return np.column_stack((x, y, points[:, 2] + AXLE_HEIGHT))


def corners(box) -> np.ndarray:
    """(8, 3) corners of x, y, z, length, width, height, yaw."""
    unit = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    cos, sin = np.cos(box[6]), np.sin(box[6])
    return (unit * box[3:6]) @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) + box[:3]


def in_box_frame(points: np.ndarray, box) -> np.ndarray:
    """(n, 3) points in the axes of a box, origin at its centre."""
    cos, sin = np.cos(box[6]), np.sin(box[6])
    return (points - np.array(box[:3])) @ np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def busy_street(seed: int, pose: np.ndarray = POSE) -> tuple[StaticWorld, Actors]:
    """Everything at once, at random, also beside, behind and right above the ego."""
    random = np.random.default_rng(seed)

    def box(size: tuple[float, float, float]) -> tuple:
        x, y = random.uniform(-45, 45), random.uniform(2.5, 40) * random.choice((-1, 1))
        scale = random.uniform(0.8, 1.2, 3)
        length, width, height = scale * size
        return (x, y, height / 2 - AXLE_HEIGHT, length, width, height, random.uniform(-3, 3))

    def colour() -> tuple:
        return tuple(random.integers(20, 240, 3).tolist())

    sizes = {
        "vehicle": (4.6, 1.9, 1.6), "pedestrian": (0.6, 0.7, 1.75), "bicycle": (1.8, 0.6, 1.75),
        "traffic_cone": (0.4, 0.4, 0.7), "barrier": (2.0, 0.5, 1.0), "czone_sign": (0.2, 0.8, 1.6),
        "generic_object": (1.0, 0.8, 1.2),
    }  # fmt: skip
    things = [(name, box(size), colour()) for name, size in sizes.items() for _ in range(8)]
    things += [("vehicle", box((11.0, 2.6, 3.2)), colour()) for _ in range(3)]
    sizes = {BUILDING: (18.0, 12.0, 14.0), POLE: (0.2, 0.2, 8.0), TREE: (5.0, 4.0, 7.0)}
    standing = [(kind, box(size), colour()) for kind, size in sizes.items() for _ in range(8)]
    standing.append((TREE, (0.5, 1.0, 4.0, 8.0, 8.0, 8.0, 0.3), (60, 110, 50)))  # the ego stands under this one
    lights = tuple((*random.uniform(-40, 40, 2), 4.0, 240, 40, 30) for _ in range(4))
    return bare_world(*standing, pose=pose), actors(*things, lights=lights, pose=pose)


def render_camera(world: StaticWorld, who: Actors, pose: np.ndarray, camera: Camera) -> np.ndarray:
    """(270, 480, 3) uint8 of what ``camera`` sees from an ego at global ``pose``."""
    return render_view(take_snapshot(world, who, pose, AXLE_HEIGHT), camera)


def scan_lidar(world: StaticWorld, who: Actors, pose: np.ndarray, seed: int = 0) -> tuple[np.ndarray, ...]:
    """xyz, intensity, ring and lidar id of a sweep from an ego at global ``pose``."""
    return scan_snapshot(take_snapshot(world, who, pose, AXLE_HEIGHT), seed)


def project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ego-frame points (..., 3) -> pixels (..., 2) as (u, v) of the full image, and depth (...) along the optical axis.

    Points with depth ≤ 0 are behind the camera; their pixels mean nothing.
    """
    local = (points - camera.translation) @ camera.rotation  # Rᵀ (p − t), written for row vectors
    homogeneous = local @ camera.intrinsics.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return homogeneous[..., :2] / homogeneous[..., 2:], local[..., 2]
