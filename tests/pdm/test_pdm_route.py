"""Route repair and the centreline on a toy town, and the searches against naive ones."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from pdm_builders import ToyMap

from wotempo.errors import UserError
from wotempo.maps import Roadblock
from wotempo.pdm.centreline import route_lanes, shortest_lanes, start_lane, trace_centreline
from wotempo.pdm.route import repair_route, search_blocks

# a-x-b-y-c along +x, and a side road d that joins c over z. Letters x, y, z are connectors.
STREET = {
    "a": ((0, 0), (20, 0)), "x": ((20, 0), (30, 0)), "b": ((30, 0), (50, 0)), "y": ((50, 0), (60, 0)),
    "c": ((60, 0), (80, 0)), "d": ((40, -30), (40, -10)), "z": ((40, -10), (60, -1)),
}  # fmt: skip
LINKS = [("a", "x"), ("x", "b"), ("b", "y"), ("y", "c"), ("d", "z"), ("z", "c")]
TOWN = ToyMap(STREET, ["x", "y", "z"], LINKS)


def _pose(x: float, y: float, heading: float = 0.0) -> np.ndarray:
    return np.array([x, y, heading])


def test_whole_route_stays() -> None:
    assert repair_route(TOWN, _pose(5, 0), list("axbyc")) == list("axbyc")


def test_repeated_ids_count_once() -> None:
    assert repair_route(TOWN, _pose(5, 0), list("aaxbbyc")) == list("axbyc")


def test_missing_links_are_filled() -> None:
    assert repair_route(TOWN, _pose(5, 0), list("abc")) == list("axbyc")


def test_unlinked_blocks_stay_as_they_are() -> None:
    assert repair_route(TOWN, _pose(5, 0), list("axd")) == list("axd")


def test_start_before_the_route_is_led_to_it() -> None:
    assert repair_route(TOWN, _pose(5, 0), list("yc")) == list("axbyc")


def test_start_beside_the_route_joins_one_of_its_first_three_blocks() -> None:
    """From the side road no block leads to the route's first one, but to its third."""
    assert repair_route(TOWN, _pose(40, -20, np.pi / 2), list("byc")) == list("dzc")


def test_start_from_nowhere_leaves_the_route() -> None:
    island = ToyMap({**STREET, "i": ((0, 90), (20, 90))}, ["x", "y", "z"], LINKS)
    assert repair_route(island, _pose(5, 90), list("axb")) == list("axb")


def test_far_from_every_block_the_nearest_counts() -> None:
    """The nearest roadblock and the nearest connector are candidates, here a and x; the search back meets x first."""
    assert repair_route(TOWN, _pose(5, 70), list("byc")) == list("xbyc")


def test_wrong_heading_is_not_on_the_block() -> None:
    """Two roads cross at (40, -20): the one that points as the ego does is the start."""
    crossing = ToyMap({**STREET, "w": ((30, -20), (50, -20))}, ["x", "y", "z"], [*LINKS, ("w", "a")])
    assert repair_route(crossing, _pose(40, -20, np.pi / 2), list("zc")) == list("dzc")
    assert repair_route(crossing, _pose(40, -20, 0.0), list("ax")) == list("wax")


def test_loop_is_cut_before_the_connector_that_crosses() -> None:
    blocks = {
        "a": ((0, 0), (20, 0)), "x": ((20, 0), (40, 0)), "b": ((40, 0), (60, 0)),
        "u": ((60, 0), (30, 20)), "e": ((30, 20), (30, 10)), "v": ((30, 10), (30, -10)), "f": ((30, -10), (30, -30)),
    }  # fmt: skip
    town = ToyMap(blocks, ["x", "u", "v"], [("a", "x"), ("x", "b"), ("b", "u"), ("u", "e"), ("e", "v"), ("v", "f")])
    assert repair_route(town, _pose(5, 0), list("axbuevf")) == list("axbue")


def test_empty_route_is_an_error() -> None:
    with pytest.raises(UserError, match="has_route"):
        repair_route(TOWN, _pose(5, 0), [])


class Graph:
    """Roadblocks without a place."""

    def __init__(self, edges: list[tuple[str, str]]) -> None:
        self.outgoing: dict[str, list[str]] = {}
        self.incoming: dict[str, list[str]] = {}
        for before, after in edges:
            self.outgoing.setdefault(before, []).append(after)
            self.incoming.setdefault(after, []).append(before)

    def roadblock(self, name: str) -> Roadblock:
        return Roadblock(name, None, (), tuple(self.outgoing.get(name, ())), tuple(self.incoming.get(name, ())), False)


def _queue_search(graph: Graph, start: str, targets: list[str], max_depth: int, forward: bool) -> list[str] | None:
    """As NAVSIM describes it: one queue without a visited set, predecessors by block and depth, last write wins."""
    queue, parents = deque([(start, 1)]), {}
    while queue:
        block, depth = queue.popleft()
        if depth > max_depth:
            return None
        if block in targets:
            path = [block]
            while depth > 1:
                path.append(parents[path[-1], depth])
                depth -= 1
            return path[::-1] if forward else path
        edges = graph.outgoing if forward else graph.incoming
        for after in edges.get(block, ()):
            parents[after, depth + 1] = block
            queue.append((after, depth + 1))
    return None


@pytest.mark.parametrize("seed", range(20))
def test_search_finds_the_path_of_a_queue_without_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [str(k) for k in range(12)]
    edges = [(a, b) for a in names for b in names if a != b and rng.random() < 0.18]
    rng.shuffle(edges)
    graph = Graph([tuple(edge) for edge in edges])
    found = 0
    for _ in range(30):
        start, *targets = rng.choice(names, rng.integers(2, 5), replace=False).tolist()
        forward, depth = bool(rng.random() < 0.5), int(rng.integers(1, 7))
        expected = _queue_search(graph, start, targets, depth, forward)
        assert search_blocks(graph, start, targets, depth, forward) == expected
        found += expected is not None
    assert found > 2


def test_search_remembers_the_last_predecessor_of_a_level() -> None:
    """The third level is queued as p, r, p: p comes before r and after it."""
    graph = Graph([("s", "q"), ("s", "t"), ("q", "p"), ("q", "r"), ("t", "p"), ("p", "c"), ("r", "c")])
    assert search_blocks(graph, "s", ["c"], 9) == ["s", "t", "p", "c"]
    assert search_blocks(graph, "s", ["r", "p"], 9) == ["s", "t", "p"], "the first target in the queue, p"


def _centreline(town: ToyMap, route: list[str], pose: np.ndarray, containing: list[str]) -> np.ndarray:
    return trace_centreline(town, route, start_lane(town, route_lanes(town, route), pose, containing))


def test_centreline_joins_the_lanes_from_the_ego_on() -> None:
    line = _centreline(TOWN, list("axbyc"), _pose(35, 0), ["bL"])
    assert line[0].tolist() == [30, 0, 0]
    assert line[-1].tolist() == [80, 0, 0]
    assert np.hypot(*np.diff(line[:, :2], axis=0).T).sum() == pytest.approx(50)


def test_start_lane_is_the_best_aligned_of_those_under_the_rear_axle() -> None:
    pose = _pose(44, -8, 0.3)
    assert _centreline(TOWN, list("dzbyc"), pose, ["bL", "zL"])[0, 0] == 40  # z points 0.42 rad, b points 0
    assert _centreline(TOWN, list("dzbyc"), _pose(44, -8, 0.1), ["bL", "zL"])[0, 0] == 30
    assert _centreline(TOWN, list("axbyc"), pose, ["zL", "bL"])[0, 0] == 30, "z is not on this route"


def test_start_lane_without_one_under_the_axle() -> None:
    """The box's centre in a lane decides; else the lane nearest to the box."""
    assert _centreline(TOWN, list("axbyc"), _pose(29, 0), [])[0, 0] == 30
    assert _centreline(TOWN, list("axbyc"), _pose(65, 6), [])[0, 0] == 60


def test_centreline_reaches_thirty_blocks() -> None:
    blocks = {f"{k}": ((10 * k, 0), (10 * k + 10, 0)) for k in range(40)}
    chain = ToyMap(blocks, [], [(f"{k}", f"{k + 1}") for k in range(39)])
    line = _centreline(chain, [f"{k}" for k in range(40)], _pose(25, 0), ["2L"])
    assert (line[0, 0], line[-1, 0]) == (20, 320)


def test_shortest_lanes_prefers_the_shorter_way() -> None:
    blocks = {
        "s": ((0, 0), (10, 0)), "long": ((10, 0), (40, 30)), "end": ((40, 30), (60, 0)), "short": ((10, 0), (60, 0)),
        "goal": ((60, 0), (70, 0)), "dead": ((10, 0), (10, 9)),
    }  # fmt: skip
    links = [("s", "dead"), ("s", "long"), ("long", "end"), ("end", "goal"), ("s", "short"), ("short", "goal")]
    town = ToyMap(blocks, [], links)
    lanes = {f"{name}L" for name in blocks}
    assert shortest_lanes(town, "sL", lanes, "goal") == ["sL", "shortL", "goalL"]
    assert shortest_lanes(town, "sL", lanes - {"shortL"}, "goal") == ["sL", "longL", "endL", "goalL"]
    # Out of reach: the deepest lane that can be reached.
    assert shortest_lanes(town, "sL", lanes - {"goalL"}, "goal") == ["sL", "longL", "endL"]
    assert shortest_lanes(town, "sL", {"sL", "deadL", "longL"}, "goal") == ["sL", "deadL"], "shortest of equal depth"
