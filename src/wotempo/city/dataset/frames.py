"""A drive seen by its ego: NAVSIM frames at 2 Hz, and the actors that the renderer shows in each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from wotempo.city.sensors.furniture import lamp_lights, signal_furniture
from wotempo.city.sensors.rig import rig_camera
from wotempo.city.sensors.town import LOCATION, District
from wotempo.city.sensors.world import AXLE_HEIGHT, CLASS_NAMES, Actors
from wotempo.city.streets.curves import angle_between
from wotempo.city.streets.map_layers import feature_id
from wotempo.city.traffic.drive import WARM_UP_S, Drive
from wotempo.city.traffic.ego import route_elements
from wotempo.city.traffic.people import People
from wotempo.city.traffic.routes import Paths, build_paths
from wotempo.city.traffic.signals import RED
from wotempo.city.traffic.simulation import DT
from wotempo.geometry import relative_to
from wotempo.navsim.schema import CAMERAS, FRAME_PERIOD_S, Boxes, Frame

SEEN = 65.0  # metres within which things are annotated
SHOWN = 130.0  # metres within which the renderer is told of them
SCENE_FRAMES = 40  # a nuPlan scene is 20 s; the route is constant within one
LOOK, OFFSET = 20.0, 2.0  # metres: the command is the side to which the route lies 20 m ahead
STEPS = round(FRAME_PERIOD_S / DT)


@dataclass(frozen=True)
class LogIdentity:
    """Names of one log. ``start_us``: timestamp of its first frame."""

    name: str
    vehicle: str
    start_us: int

    def token(self, *parts: object) -> str:
        """16 hex digits that depend on the log and ``parts`` only."""
        text = "/".join(map(str, (self.name, *parts)))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def record_log(
    district: District, drive: Drive, people: People, ego: int, identity: LogIdentity, count: int
) -> list[Frame]:
    """``count`` frames from the end of the warm-up on."""
    first = round(WARM_UP_S / DT)
    steps = first + STEPS * np.arange(count)
    commands = commands_of(drive, ego, steps)
    routes = {
        n: route_of(district, drive, ego, steps[n], steps[min(n + SCENE_FRAMES, count) - 1])
        for n in range(0, count, SCENE_FRAMES)
    }
    return [
        frame_at(district, drive, people, ego, identity, k, int(step), commands[k], routes[k - k % SCENE_FRAMES])
        for k, step in enumerate(steps)
    ]


def frame_at(
    district: District, drive: Drive, people: People, ego: int, identity: LogIdentity, k: int, step: int,
    command: np.ndarray, route: tuple[str, ...],
) -> Frame:  # fmt: skip
    """Frame ``k`` of a log, which shows ``step`` of the simulation."""
    scene, token = k // SCENE_FRAMES, identity.token("frame", k)
    pose, speed = drive.poses[step, ego], float(drive.tracks.speed[step, ego])
    yaw_rate = float((drive.poses[step + 1, ego, 2] - drive.poses[step - 1, ego, 2]) / (2 * DT))
    state = drive.tracks.lights[step]
    return Frame(
        token=token,
        frame_idx=k % SCENE_FRAMES,
        timestamp_us=identity.start_us + k * round(FRAME_PERIOD_S * 1e6),
        log_name=identity.name,
        log_token=identity.token("log"),
        scene_name=f"log-{identity.token('log')[:4]}-scene-{scene:04d}",
        scene_token=identity.token("scene", scene),
        map_location=LOCATION,
        vehicle_name=identity.vehicle,
        pose=np.array([*(pose[:2] + district.origin), angle_between(0.0, pose[2])]),
        height=AXLE_HEIGHT,
        velocity=np.array([speed, 0.0]),  # the rear axle does not slip
        acceleration=np.array([drive.tracks.acceleration[step, ego], speed * yaw_rate]),
        yaw_rate=yaw_rate,
        command=command,
        roadblock_ids=route,
        traffic_lights=tuple(
            (feature_id(district.index, "element", element), bool(state[node, phase] == RED))
            for element, node, phase in drive.network.phases
        ),
        cameras={name: rig_camera(name, f"{identity.name}/{name}/{identity.token(name, k)}.jpg") for name in CAMERAS},
        lidar_path=f"{identity.name}/MergedPointCloud/{token}.pcd",
        boxes=_boxes(people, pose, ego, identity, step),
    )


def _boxes(people: People, pose: np.ndarray, ego: int, identity: LogIdentity, step: int) -> Boxes:
    """What is within SEEN of the rear axle, in the ego frame."""
    near = np.hypot(*(people.poses[step, :, :2] - pose[:2]).T) < SEEN
    near[ego] = False
    (seen,) = np.nonzero(near)
    boxes = people.boxes(step)[seen]
    boxes[:, [0, 1, 6]] = relative_to(pose, boxes[:, [0, 1, 6]])
    boxes[:, 2] -= AXLE_HEIGHT
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    vx, vy = people.velocity[step, seen].T
    return Boxes(
        boxes=boxes,
        names=np.array(CLASS_NAMES)[people.classes[seen]],
        velocity=np.stack([cos * vx + sin * vy, cos * vy - sin * vx, np.zeros(len(seen))], 1),
        instance_tokens=[identity.token("instance", n, step) for n in seen],
        track_tokens=[identity.token("track", n) for n in seen],
    )


def frame_actors(district: District, drive: Drive, people: People, ego: int, k: int) -> Actors:
    """What the renderer shows in frame ``k``, in global coordinates."""
    return actors_at(district, drive, people, ego, round(WARM_UP_S / DT) + STEPS * k)


def actors_at(district: District, drive: Drive, people: People, ego: int, step: int) -> Actors:
    """What the renderer shows at a step of the simulation, in global coordinates."""
    here = drive.poses[step, ego, :2]
    near = np.hypot(*(people.poses[step, :, :2] - here).T) < SHOWN
    near[ego] = False
    boxes = people.boxes(step)[near]
    boxes[:, :2] += district.origin
    lights = lamp_lights(signal_furniture(drive.network)[0], drive.tracks.lights[step])
    lights = lights[np.hypot(*(lights[:, :2] - here).T) < SHOWN]
    lights[:, :2] += district.origin
    return Actors(boxes, people.classes[near], people.colours[near], lights)


def route_of(district: District, drive: Drive, ego: int, first: int, last: int) -> tuple[str, ...]:
    """Ids of the roadblocks from where the ego is at step ``first`` to well beyond where it is at ``last``."""
    elements = route_elements(drive, ego, int(first), int(last))
    return tuple(str(feature_id(district.index, "group", drive.network.elements[e].group)) for e in elements)


def commands_of(drive: Drive, ego: int, steps: np.ndarray) -> np.ndarray:
    """(len(steps), 4) one-hot left, forward, right, unknown: the side of the centre line's point LOOK metres ahead."""
    elements = drive.paths.elements[ego]
    centre: Paths = build_paths(drive.network, [tuple(elements[elements >= 0])], np.array([[0.0, 1.0, 0.0]]))
    s = drive.tracks.s[steps, ego][:, None]
    here, ahead = centre.pose(s)[:, 0], centre.pose(s + LOOK)[:, 0]
    aside = relative_to(here, ahead)[:, 1]
    side = np.where(aside >= OFFSET, 0, np.where(aside <= -OFFSET, 2, 1))
    return np.eye(4, dtype=np.int64)[side]
