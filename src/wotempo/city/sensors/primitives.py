"""The town as primitives for the ray caster: tapered boxes, ellipsoids and vertical frusta, one row each.

Rows are built in the *district frame* (global axes, origin ``StaticWorld.ground_origin``, z = 0 on the road) and moved
into the ego frame once per frame of a log. Every road user's primitives lie inside its annotated box.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from wotempo.city.sensors.world import CLASS_NAMES, Actors, SolidKind, StaticWorld

# One primitive. A frustum's radius is half_l at z0; taper is what a half extent loses per metre of height.
_FIELDS = "shape x y z0 z1 half_l half_w cos sin taper_l taper_w material red green blue seed"
PRIMITIVE = np.dtype([(name, np.float64) for name in _FIELDS.split()], align=True)

BOX, ELLIPSOID, FRUSTUM = range(3)
PLAIN, FACADE, FOLIAGE, BODY, CABIN, COACH, STRIPES, LAMP = range(8)

_TALL_VEHICLE = 2.3  # metres: vans, lorries and buses have no separate cabin
# The blobs of a tree's crown: diameter, foot, top and offset as fractions of the tree, and a turn so that they differ.
_CROWN = ((0.84, 0.26, 0.86, 0.07, 0.0), (0.56, 0.52, 1.0, 0.08, 2.6), (0.52, 0.3, 0.72, 0.24, 4.2))


def _part(
    owner: np.ndarray,
    shape: int,
    material: int,
    colour: ArrayLike,
    half: tuple,
    z: tuple,
    at=(0.0, 0.0),
    taper=(0.0, 0.0),
) -> np.ndarray:
    """One primitive per owner box (n, 7): half extents, the offset ``at`` in the owner's own frame, and ``z`` of its
    foot and top above the owner's foot, all in metres."""
    cos, sin = np.cos(owner[:, 6]), np.sin(owner[:, 6])
    foot = owner[:, 2] - owner[:, 5] / 2
    rows = np.zeros(len(owner), PRIMITIVE)
    rows["shape"], rows["material"] = shape, material
    rows["x"] = owner[:, 0] + cos * at[0] - sin * at[1]
    rows["y"] = owner[:, 1] + sin * at[0] + cos * at[1]
    rows["z0"], rows["z1"] = foot + z[0], foot + z[1]
    rows["half_l"], rows["half_w"] = half
    rows["cos"], rows["sin"] = cos, sin
    rows["taper_l"], rows["taper_w"] = taper
    rows["red"], rows["green"], rows["blue"] = np.asarray(colour, dtype=float).T / 255.0
    return rows


def whole_boxes(boxes: np.ndarray, material: int, colour: ArrayLike) -> np.ndarray:
    """(n,) primitives that fill their boxes (n, 7) (x, y, z of the centre, length, width, height, yaw)."""
    return _part(boxes, BOX, material, colour, (boxes[:, 3] / 2, boxes[:, 4] / 2), (0.0, boxes[:, 5]))


def static_primitives(world: StaticWorld) -> np.ndarray:
    """(M,) primitives of the buildings, poles and trees, in the district frame."""
    solids = world.solids.astype(np.float64)
    x, y, z0, z1, length, width, yaw = solids[:, :7].T
    boxes = np.column_stack((x, y, (z0 + z1) / 2, length, width, z1 - z0, yaw))
    colour, seed = solids[:, 7:10], np.arange(len(solids), dtype=float)
    building, pole, tree = (solids[:, 10] == kind for kind in SolidKind)
    parts = [
        (building, whole_boxes(boxes[building], FACADE, colour[building])),
        (pole, whole_boxes(boxes[pole], PLAIN, colour[pole])),
        *((tree, part) for part in _trees(boxes[tree], colour[tree], seed[tree])),
    ]
    for owners, rows in parts:
        rows["seed"] = seed[owners]
    return np.concatenate([rows for _, rows in parts])


def _trees(boxes: np.ndarray, colour: np.ndarray, seed: np.ndarray) -> list[np.ndarray]:
    length, width, height = boxes[:, 3:6].T
    trunk = 0.07 * np.minimum(length, width)
    parts = [_part(boxes, FRUSTUM, PLAIN, (92, 74, 58), (trunk, trunk), (0.0, 0.5 * height))]
    for size, low, high, offset, angle in _CROWN:
        half = (0.5 * size * length, 0.5 * size * width)
        at = (offset * length * np.cos(seed + angle), offset * width * np.sin(seed + angle))
        parts.append(_part(boxes, ELLIPSOID, FOLIAGE, colour, half, (low * height, high * height), at=at))
    return parts


def actor_primitives(actors: Actors, origin: tuple[float, float]) -> np.ndarray:
    """(M,) primitives of one frame's road users, static objects and traffic lights, in the district frame."""
    boxes = actors.boxes - np.array([*origin, 0, 0, 0, 0, 0])
    names, colours = np.array(CLASS_NAMES)[actors.classes], actors.colours.astype(float)
    parts = []
    for name, build in _BUILDERS.items():
        parts += build(boxes[names == name], colours[names == name])
    parts += _traffic_lights(actors.lights - np.array([*origin, 0, 0, 0, 0]))
    rows = np.concatenate(parts)
    # A thing's colour is all that stays with it from frame to frame, so the colour seeds its texture.
    rows["seed"] = np.round(255 * (rows["red"] + 3 * rows["green"] + 7 * rows["blue"]))
    return rows


def _vehicles(boxes: np.ndarray, colour: np.ndarray) -> list[np.ndarray]:
    tall = boxes[:, 5] > _TALL_VEHICLE
    car, paint = boxes[~tall], colour[~tall]
    length, width, height = car[:, 3:6].T
    body = _part(car, BOX, BODY, paint, (length / 2, width / 2), (0.0, 0.56 * height), taper=(0.06, 0.03))
    sides = (0.34 * length, 0.47 * width)
    slope = (0.12 * length / (0.44 * height), 0.07 * width / (0.44 * height))  # windscreens lean by 12 % of the length
    cabin = _part(car, BOX, CABIN, paint, sides, (0.56 * height, height), at=(-0.07 * length, 0.0), taper=slope)
    return [body, cabin, whole_boxes(boxes[tall], COACH, colour[tall])]


def _pedestrians(boxes: np.ndarray, colour: np.ndarray) -> list[np.ndarray]:
    length, width, height = boxes[:, 3:6].T
    size = np.minimum(length, width)
    leg, low = 0.12 * size, (0.0, 0.5 * height)
    trousers = 0.35 * colour + 15
    legs = [
        _part(boxes, FRUSTUM, PLAIN, trousers, (leg, leg), low, at=(s * 0.15 * length, s * 0.15 * width))
        for s in (-1, 1)
    ]
    torso = _part(boxes, ELLIPSOID, PLAIN, colour, (0.26 * size, 0.42 * size), (0.4 * height, 0.88 * height))
    head = _part(boxes, ELLIPSOID, PLAIN, (190, 150, 125), (0.16 * size, 0.16 * size), (0.85 * height, height))
    return [*legs, torso, head]


def _bicycles(boxes: np.ndarray, colour: np.ndarray) -> list[np.ndarray]:
    length, width, height = boxes[:, 3:6].T
    wheel, thin = np.minimum(0.19 * length, 0.2 * height), 0.03
    reach = length / 2 - wheel
    wheels = [
        _part(boxes, ELLIPSOID, PLAIN, (38, 38, 40), (wheel, thin), (0.0, 2 * wheel), at=(s * reach, 0.0))
        for s in (-1, 1)
    ]
    frame = _part(boxes, BOX, PLAIN, 0.6 * colour, (0.22 * length, thin), (0.3 * height, 0.38 * height))
    rider = _part(boxes, ELLIPSOID, PLAIN, colour, (0.13 * length, 0.4 * width), (0.42 * height, 0.88 * height))
    legs = _part(boxes, BOX, PLAIN, (45, 48, 60), (0.08 * length, 0.22 * width), (0.15 * height, 0.5 * height))
    helmet, half = (225, 225, 215), (0.07 * length, 0.18 * width)
    head = _part(boxes, ELLIPSOID, PLAIN, helmet, half, (0.85 * height, height), at=(0.06 * length, 0.0))
    return [*wheels, frame, legs, rider, head]


def _cones(boxes: np.ndarray, colour: np.ndarray) -> list[np.ndarray]:
    radius, height = np.minimum(boxes[:, 3], boxes[:, 4]) / 2, boxes[:, 5]
    taper = 0.75 * radius / (0.95 * height)
    foot = _part(boxes, BOX, PLAIN, (40, 40, 42), (boxes[:, 3] / 2, boxes[:, 4] / 2), (0.0, 0.05 * height))
    return [
        foot,
        _part(boxes, FRUSTUM, STRIPES, colour, (0.85 * radius,) * 2, (0.05 * height, height), taper=(taper, taper)),
    ]


def _signs(boxes: np.ndarray, colour: np.ndarray) -> list[np.ndarray]:
    length, width, height = boxes[:, 3:6].T
    post = _part(boxes, BOX, PLAIN, (110, 110, 112), (0.15 * length, 0.15 * width), (0.0, 0.45 * height))
    return [post, _part(boxes, BOX, STRIPES, colour, (length / 2, width / 2), (0.4 * height, height))]


def _traffic_lights(lights: np.ndarray) -> list[np.ndarray]:
    """Dark heads with one lit ball each, seen from all sides: red at the top, green at the bottom, amber between."""
    red, green = lights[:, 3], lights[:, 4]
    head = np.pad(lights[:, :3], ((0, 0), (0, 4)))
    housing = _part(head, BOX, PLAIN, (24, 24, 24), (0.15, 0.15), (-0.6, 0.6))
    head[:, 2] += np.where(red > 1.5 * green, 0.4, np.where(green > 1.2 * red, -0.4, 0.0))
    return [housing, _part(head, ELLIPSOID, LAMP, lights[:, 3:6], (0.24, 0.24), (-0.24, 0.24))]


_BUILDERS = {
    "vehicle": _vehicles,
    "pedestrian": _pedestrians,
    "bicycle": _bicycles,
    "traffic_cone": _cones,
    "barrier": lambda boxes, colour: [whole_boxes(boxes, STRIPES, colour)],
    "czone_sign": _signs,
    "generic_object": lambda boxes, colour: [whole_boxes(boxes, PLAIN, colour)],
}


def to_ego(rows: np.ndarray, pose: tuple[float, float, float], z: float) -> np.ndarray:
    """Primitives of the district frame in the frame of an ego at ``pose`` (district x, y, heading) and height ``z``."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    moved = rows.copy()
    dx, dy = rows["x"] - pose[0], rows["y"] - pose[1]
    moved["x"], moved["y"] = cos * dx + sin * dy, cos * dy - sin * dx
    moved["cos"] = cos * rows["cos"] + sin * rows["sin"]
    moved["sin"] = cos * rows["sin"] - sin * rows["cos"]
    moved["z0"] -= z
    moved["z1"] -= z
    return moved
