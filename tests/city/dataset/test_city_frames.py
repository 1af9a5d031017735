"""What the logs say, read back with the ordinary readers and compared with the map that was written."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
import shapely

from wotempo.city.dataset.frames import SEEN
from wotempo.city.sensors.rig import MOUNTS
from wotempo.city.traffic.ego import ego_corners
from wotempo.geometry import compose, relative_to
from wotempo.geometry.pose import wrap_angle
from wotempo.navsim.scenes import SceneFilter, find_scenes
from wotempo.navsim.schema import AGENT_NAMES, CAMERAS, STATIC_NAMES

HEX16 = re.compile(r"[0-9a-f]{16}")


def poses(log) -> np.ndarray:
    return np.stack([frame.pose for frame in log.frames])


def test_times_tokens_and_names(town):
    tokens = [frame.token for log in town.all_logs for frame in log.frames]
    assert len(set(tokens)) == len(tokens)
    assert all(HEX16.fullmatch(token) for token in tokens)
    assert len({log.name for log in town.all_logs}) == len(town.all_logs)
    for log in town.all_logs:
        assert len(log.frames) == town.config.frames
        assert set(np.diff([frame.timestamp_us for frame in log.frames])) == {500_000}
        assert [frame.frame_idx for frame in log.frames] == list(range(len(log.frames)))
        assert len({(frame.scene_token, frame.roadblock_ids) for frame in log.frames}) == 1
        assert log.name.split("_")[1] == log.frames[0].vehicle_name
        for frame in log.frames:
            assert frame.log_name == log.name
            assert frame.lidar_path == f"{log.name}/MergedPointCloud/{frame.token}.pcd"
            assert set(frame.cameras) == set(CAMERAS) == set(MOUNTS)
            assert len({camera.path for camera in frame.cameras.values()}) == len(CAMERAS)


def test_every_window_of_fourteen_frames_is_a_scene(town):
    for logs in town.logs.values():
        assert len(find_scenes(logs, SceneFilter())) == len(logs) * (town.config.frames - 13)


def test_ego_motion_is_consistent(town):
    for log in town.all_logs:
        pose = poses(log)
        speed = np.array([frame.velocity[0] for frame in log.frames])
        assert all(frame.velocity[1] == 0.0 for frame in log.frames)
        step = relative_to(pose[:-1], pose[1:])
        arc = np.hypot(step[:, 0], step[:, 1])
        mean = (speed[1:] + speed[:-1]) / 2
        assert np.allclose(arc / 0.5, mean, atol=0.35)  # acceleration is not constant within half a second
        moving = arc > 0.5
        chord = np.arctan2(step[:, 1], step[:, 0])
        assert np.abs(wrap_angle(chord - step[:, 2] / 2))[moving].max() < 0.04  # tangential on an arc
        yaw_rate = np.array([frame.yaw_rate for frame in log.frames])
        assert np.allclose(wrap_angle(step[:, 2]) / 0.5, (yaw_rate[1:] + yaw_rate[:-1]) / 2, atol=0.12)
        acceleration = np.array([frame.acceleration for frame in log.frames])
        assert np.allclose(np.diff(speed) / 0.5, (acceleration[1:, 0] + acceleration[:-1, 0]) / 2, atol=0.9)
        assert np.allclose(acceleration[:, 1], speed * yaw_rate)


def test_the_ego_drives_on_its_route_and_on_drivable_ground(town):
    for log in town.all_logs:
        route = log.frames[0].roadblock_ids
        lanes = [lane for block in route for lane in town.map.roadblock(block).lane_ids]
        surfaces = shapely.union_all([town.map.lane(lane).polygon for lane in lanes])
        on_route = shapely.contains_xy(surfaces, *poses(log)[:, :2].T)
        assert on_route.mean() > 0.95
        x, y = poses(log)[len(log.frames) // 2, :2]
        drivable = shapely.union_all(
            [
                shape
                for layer in ("lane_groups_polygons", "intersections", "carpark_areas")
                for shape in town.map.layer(layer).geometry[town.map.near(layer, x, y, 250.0)]
            ]
        )
        assert shapely.contains_xy(drivable, *ego_corners(poses(log)).reshape(-1, 2).T).all()


def test_route_is_connected_and_leads_on(town):
    for log in town.all_logs:
        route = log.frames[0].roadblock_ids
        assert len(set(route)) == len(route)
        for block, following in pairwise(route):
            assert following in town.map.roadblock(block).outgoing
        first, last = poses(log)[0], poses(log)[-1]
        start = shapely.union_all([town.map.lane(k).polygon for k in town.map.roadblock(route[0]).lane_ids])
        assert start.distance(shapely.Point(first[:2])) < 0.1
        # five more seconds at the last speed end at least two roadblocks before the route does
        here = [k for k, block in enumerate(route) if _touches(town, block, last)][-1]
        rest = sum(_length(town, block) for block in route[here:-2])
        assert rest - _done(town, route[here], last) > 5.0 * log.frames[-1].velocity[0] - 1.0
        assert here + 2 < len(route)


def _touches(town, block: str, pose: np.ndarray) -> bool:
    point = shapely.Point(pose[:2])
    return any(town.map.lane(k).polygon.distance(point) < 0.1 for k in town.map.roadblock(block).lane_ids)


def _done(town, block: str, pose: np.ndarray) -> float:
    """Metres of a roadblock that lie behind the pose."""
    lanes = [shapely.LineString(town.map.lane(k).baseline[:, :2]) for k in town.map.roadblock(block).lane_ids]
    nearest = min(lanes, key=lambda line: line.distance(shapely.Point(pose[:2])))
    return nearest.project(shapely.Point(pose[:2]))


def _length(town, block: str) -> float:
    return min(town.map.lane(k).length for k in town.map.roadblock(block).lane_ids)


def test_command_is_the_side_of_the_route_twenty_metres_ahead(town):
    checked = np.zeros(4, int)
    for log in town.all_logs:
        route = log.frames[0].roadblock_ids
        for frame in log.frames:
            line = _centre_line(town, route, frame.pose)
            s = line.project(shapely.Point(frame.pose[:2]))
            if s + 20.0 > line.length:
                continue
            points = [line.interpolate(d) for d in (s, s + 0.2, s + 20.0)]
            (x, y), (x1, y1), (x2, y2) = ((p.x, p.y) for p in points)
            heading = np.arctan2(y1 - y, x1 - x)
            aside = np.cos(heading) * (y2 - y) - np.sin(heading) * (x2 - x)
            if min(abs(aside - 2.0), abs(aside + 2.0)) < 0.25:
                continue  # too near to the limit for another way of measuring
            expected = 0 if aside > 2.0 else 2 if aside < -2.0 else 1
            assert frame.command.tolist() == np.eye(4, dtype=int)[expected].tolist()
            checked[expected] += 1
    assert checked[1] > 10
    assert checked[0] + checked[2] > 5


def _centre_line(town, route: tuple[str, ...], pose: np.ndarray) -> shapely.LineString:
    """Concatenated baselines of the lanes that lead along the route from the lane under the pose."""
    blocks = [set(town.map.roadblock(block).lane_ids) for block in route]
    k, lane = min(
        ((k, lane) for k, block in enumerate(blocks) for lane in block),
        key=lambda item: (_aside(town.map.lane(item[1]).baseline, pose), item),
    )
    chain = [lane]
    for block in blocks[k + 1 :]:
        following = [lane for lane in town.map.lane(chain[-1]).outgoing if lane in block]
        if not following:
            break
        chain.append(following[0])
    return shapely.LineString(np.concatenate([town.map.lane(lane).baseline[:, :2] for lane in chain]))


def _aside(baseline: np.ndarray, pose: np.ndarray) -> float:
    """Distance to the nearest vertex, with a penalty for another heading."""
    gap = np.hypot(*(baseline[:, :2] - pose[:2]).T)
    k = int(gap.argmin())
    return float(gap[k] + 5.0 * abs(np.sin((baseline[k, 2] - pose[2]) / 2)))


def test_boxes_are_in_the_ego_frame_and_stand_on_the_ground(town):
    names = set()
    for log in town.all_logs:
        for frame in log.frames:
            boxes = frame.boxes
            assert len(boxes.boxes) == len(boxes.names) == len(boxes.velocity) == len(set(boxes.track_tokens))
            assert np.isfinite(boxes.boxes).all()
            assert all(HEX16.fullmatch(token) for token in (*boxes.track_tokens, *boxes.instance_tokens))
            assert np.hypot(boxes.boxes[:, 0], boxes.boxes[:, 1]).max(initial=0.0) <= SEEN
            assert np.allclose(boxes.boxes[:, 2] - boxes.boxes[:, 5] / 2, -0.4)
            assert (boxes.boxes[:, 3:6] > 0.1).all()
            names |= set(boxes.names.tolist())
    assert names <= set(AGENT_NAMES + STATIC_NAMES)
    assert set(AGENT_NAMES) - {"bicycle"} <= names


def test_tracks_keep_their_identity_and_their_global_place(town):
    still, moved = 0, 0
    for log in town.all_logs:
        tracks: dict[str, list] = {}
        for frame in log.frames:
            b = frame.boxes
            places = compose(frame.pose, b.boxes[:, [0, 1, 6]])
            cos, sin = np.cos(frame.pose[2]), np.sin(frame.pose[2])
            velocity = np.stack(
                [cos * b.velocity[:, 0] - sin * b.velocity[:, 1], sin * b.velocity[:, 0] + cos * b.velocity[:, 1]], 1
            )
            rows = zip(b.track_tokens, places, velocity, b.boxes[:, 3:6], b.names, strict=True)
            for token, place, v, size, name in rows:
                tracks.setdefault(token, []).append((frame.timestamp_us, place, v, size, name))
        for seen in tracks.values():
            assert len({name for *_, name in seen}) == 1
            assert np.ptp([size for *_, size, _ in seen], axis=0).max() < 1e-9
            for (t0, p0, v0, *_), (t1, p1, v1, *_) in pairwise(seen):
                if t1 - t0 != 500_000:
                    continue
                shift = np.hypot(*(p1[:2] - p0[:2]))
                if not v0.any() and not v1.any():
                    assert shift < 0.6  # nothing, or one that started and stopped within half a second
                    still += 1
                elif np.hypot(*v0) > 3.0:
                    assert shift / 0.5 == pytest.approx(np.hypot(*(v0 + v1)) / 2, abs=0.6)
                    moved += 1
    assert still > 100
    assert moved > 20


def test_traffic_lights_name_connectors_and_change(town):
    seen: dict[int, set[bool]] = {}
    for log in town.all_logs:
        for frame in log.frames:
            for connector, red in frame.traffic_lights:
                seen.setdefault(connector, set()).add(red)
    for connector in seen:
        assert town.map.lane(str(connector)).is_connector
    assert any(states == {True, False} for states in seen.values())
