"""Windows of a log, and the scene filter as NAVSIM's own code applies it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from navsim_builders import make_log

from wotempo.errors import UserError
from wotempo.navsim import Scene, SceneFilter, find_scenes, read_log
from wotempo.navsim.scenes import BEYOND, EDGE, GAP, NOWHERE, RASTER, ROUTE, require_own_tokens, search_scenes

REGULAR = np.arange(30) * 0.5


def indices(scenes: list[Scene]) -> list[int]:
    return [scene.index for scene in scenes]


def test_a_window_is_four_frames_to_now_and_ten_after():
    log = make_log(REGULAR)
    scene = Scene(log, 10)
    assert scene.history == log.frames[7:11]
    assert scene.future == log.frames[11:21]
    assert (scene.current, scene.token) == (log.frames[10], log.frames[10].token)


def test_history_before_the_log_is_none_at_the_front():
    log = make_log(REGULAR)
    assert Scene(log, 0).history == [None, None, None, log.frames[0]]
    assert Scene(log, 2).history == [None, *log.frames[:3]]
    assert Scene(log, 27).future == log.frames[28:]
    assert Scene(log, 5, num_history=1, num_future=0).history == [log.frames[5]]
    assert Scene(log, 5, num_history=1, num_future=0).future == []


@pytest.mark.parametrize(
    ("steps", "whole"),
    [
        ([0.5, 0.5, 0.5], True),
        ([0.5, 0.55, 0.45], True),
        ([0.5, 0.550001, 0.5], False),
        ([0.5, 1.0, 0.5], False),
        ([0.5, 0.0, 0.5], False),
        ([0.5, -0.5, 0.5], False),
    ],
)
def test_gaps_and_time_running_backwards_end_history_and_future(steps: list[float], whole: bool):
    log = make_log(np.cumsum([0.0, *steps]))
    frames = log.frames
    assert Scene(log, 3).history == (frames if whole else [None, None, *frames[2:]])
    assert Scene(log, 0, num_future=3).future == (frames[1:] if whole else frames[1:2])


def official_windows(log, wanted: SceneFilter) -> list[int]:
    """Current indices by the published algorithm: slice, drop short tails, look at the current frame."""
    size = wanted.num_history + wanted.num_future
    found = []
    for start in range(0, len(log.frames), wanted.frame_interval or size):
        window = log.frames[start : start + size]
        current = start + wanted.num_history - 1
        if len(window) < size or (wanted.has_route and not log.frames[current].roadblock_ids):
            continue
        if wanted.tokens is None or log.frames[current].token in wanted.tokens:
            found.append(current)
    return found


@pytest.mark.parametrize("interval", [1, 2, 5, None])
@pytest.mark.parametrize("future", [0, 8, 10])
@pytest.mark.parametrize("has_route", [True, False])
@pytest.mark.parametrize("with_tokens", [True, False])
def test_without_gaps_the_scenes_are_the_official_ones(interval, future, has_route, with_tokens):
    log = make_log(np.arange(43) * 0.5)
    for i in (6, 7, 17, 31):
        object.__setattr__(log.frames[i], "roadblock_ids", ())
    tokens = frozenset(frame.token for frame in log.frames[3::2]) if with_tokens else None
    wanted = SceneFilter(tokens=tokens, num_future=future, frame_interval=interval, has_route=has_route)
    scenes = find_scenes([log], wanted)
    assert indices(scenes) == official_windows(log, wanted)
    assert all(None not in scene.history and len(scene.future) == future for scene in scenes)


def test_windows_across_a_gap_are_no_scenes():
    times = np.concatenate([np.arange(16) * 0.5, 20 + np.arange(15) * 0.5])
    log = make_log(times)
    assert indices(find_scenes([log], SceneFilter())) == [3, 4, 5, 19, 20]
    relaxed = find_scenes([log], SceneFilter(require_full_history=False))
    assert indices(relaxed) == [0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20]
    assert [sum(frame is None for frame in scene.history) for scene in relaxed] == [3, 2, 1, 0, 0, 0, 3, 2, 1, 0, 0]
    assert all(len(scene.future) == 10 for scene in relaxed)


def test_early_windows_lie_on_the_raster_of_the_others():
    log = make_log(REGULAR)
    full = indices(find_scenes([log], SceneFilter(frame_interval=2)))
    early = indices(find_scenes([log], SceneFilter(frame_interval=2, require_full_history=False)))
    assert early == [1, *full]


def test_of_listed_tokens_that_are_no_scenes_the_reason_is_counted():
    log = make_log(np.concatenate([np.arange(20) * 0.5, 30 + np.arange(15) * 0.5]))
    object.__setattr__(log.frames[5], "roadblock_ids", ())
    tokens = frozenset([*(frame.token for frame in log.frames), "elsewhere0000000"])
    found = search_scenes([log], SceneFilter(tokens=tokens))
    whole = [3, 4, 6, 7, 8, 9, 23, 24]
    assert indices(found.scenes) == whole == indices(find_scenes([log], SceneFilter(tokens=tokens)))
    assert found.lost == {EDGE: 3 + 10, ROUTE: 1, GAP: 13, NOWHERE: 1}
    assert len(tokens) == len(whole) + sum(found.lost.values())
    every_other = search_scenes([log], SceneFilter(tokens=tokens, frame_interval=2, max_scenes=2))
    assert indices(every_other.scenes) == [3, 7]
    assert every_other.lost[RASTER] == 11
    assert every_other.lost[BEYOND] == 2
    assert len(tokens) == 2 + sum(every_other.lost.values())
    some = search_scenes([log], SceneFilter(tokens=frozenset(log.frames[i].token for i in whole)))
    assert some.lost == {}


def test_without_a_list_windows_across_a_gap_are_counted():
    log = make_log(np.concatenate([np.arange(16) * 0.5, 20 + np.arange(15) * 0.5]))
    assert search_scenes([log], SceneFilter()).lost == {GAP: 13}
    assert search_scenes([log], SceneFilter(require_full_history=False)).lost == {GAP: 10}
    assert search_scenes([make_log(REGULAR)], SceneFilter()).lost == {}


def test_logs_and_the_number_of_scenes_are_limited():
    logs = [make_log(REGULAR, name) for name in ("a", "b", "c")]
    scenes = find_scenes(logs, SceneFilter(log_names=frozenset({"b", "c", "elsewhere"})))
    assert [scene.log.name for scene in scenes] == ["b"] * 17 + ["c"] * 17
    assert [scene.log.name for scene in find_scenes(logs, SceneFilter(max_scenes=18))] == ["a"] * 17 + ["b"]
    assert find_scenes(logs, SceneFilter(max_scenes=0)) == []


def test_the_golden_log_holds_three_scenes(golden_log_path: Path):
    assert indices(find_scenes([read_log(golden_log_path, "golden")], SceneFilter())) == [3, 4, 5]


def test_the_community_yaml_is_read(tmp_path: Path):
    (tmp_path / "f.yaml").write_text(
        "_target_: navsim.common.dataclasses.SceneFilter\n_convert_: 'all'\n\nnum_history_frames: 4 # comment\n"
        "num_future_frames: 8\nframe_interval: null\nhas_route: false\nmax_scenes: 7\n"
        "log_names:\n  - '2021.06.03.12.02.06_veh-35_01100_01227'\n  - 2021.06.03.12.02.06_veh-35_00233_00609\n"
        "tokens:  \n- 0123456701234567\n- 1234567890123456\n- 12345678901234e1\n- 'abcdef0123456789'\n"
    )
    assert SceneFilter.from_yaml(tmp_path / "f.yaml") == SceneFilter(
        log_names=frozenset({"2021.06.03.12.02.06_veh-35_01100_01227", "2021.06.03.12.02.06_veh-35_00233_00609"}),
        # digits only, octal-looking and exponent-looking tokens stay what they are
        tokens=frozenset({"0123456701234567", "1234567890123456", "12345678901234e1", "abcdef0123456789"}),
        num_history=4,
        num_future=8,
        frame_interval=None,
        has_route=False,
        max_scenes=7,
    )


def test_nulls_of_the_yaml_let_everything_through(tmp_path: Path):
    (tmp_path / "f.yaml").write_text("frame_interval: 1\nlog_names: null\ntokens: ~\nmax_scenes:\n")
    assert SceneFilter.from_yaml(tmp_path / "f.yaml") == SceneFilter()


# Ten of ten of ten …: 10^9 words from a few lines.
BOMB = "_convert_: [&a0 x]\n" + "".join(f"_target_: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
BOMB += "has_route: *a9\n"


def test_scenes_of_two_logs_with_one_token_are_refused():
    logs = [make_log(REGULAR, name) for name in ("a", "b")]
    require_own_tokens(find_scenes(logs[:1], SceneFilter()) * 2)
    with pytest.raises(UserError, match=r"token 0{15}3 is that of a scene of log a and of one of log b: leave one"):
        require_own_tokens(find_scenes(logs, SceneFilter()))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("include_synthetic_scenes: true\n", "unknown key 'include_synthetic_scenes'"),
        ("num_history_frames: four\n", "num_history_frames cannot be 'four'"),
        ("has_route: perhaps\n", "has_route cannot be 'perhaps'"),
        ("tokens: abc\n", "tokens cannot be 'abc'"),
        ("num_future_frames: null\n", "num_future_frames cannot be 'null'"),
        ("- a\n- b\n", "not a scene filter"),
        ("a: [\n", "not a yaml file"),
        ("a: " + "[" * 200_000, "not a yaml file \\(it is nested too deeply"),
        ("- " * 200_000, "not a yaml file \\(it is nested too deeply"),
        (" " * 300 + "a: 1\n", "not a yaml file \\(it is nested too deeply"),
        ("a: \x00\n", "not a yaml file"),
        ("num_history_frames: 0\n", "num_history_frames cannot be '0'"),
        ("num_history_frames: 1000000000\n", "num_history_frames cannot be '1000000000'"),
        ("num_future_frames: -1\n", "num_future_frames cannot be '-1'"),
        ("frame_interval: 0\n", "frame_interval cannot be '0'"),
        ("tokens: {a: 1}\n", "tokens cannot be {'a': '1'}"),
        (BOMB, "has_route cannot be"),
    ],
)
def test_a_wrong_yaml_is_named(tmp_path: Path, text: str, match: str):
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"f\.yaml: {match}"):
        SceneFilter.from_yaml(tmp_path / "f.yaml")
