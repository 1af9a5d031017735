"""StreamingPlanner: what it answers, remembers, forgets and refuses. Equality with windows of real data: tests/data."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import pytest
import torch
from streams import drive_frames, dropped, encoded_one_by_one, of_stream
from torch import Tensor

from wotempo.errors import UserError
from wotempo.fusion import STAGES, RingBuffer, TemporalFusion
from wotempo.geometry import relative_to
from wotempo.navsim.schema import Scene
from wotempo.planners.wote.wote import WoTE
from wotempo.streaming.frames import StreamFrames
from wotempo.streaming.planner import StreamingPlanner

T = 4


@dataclass(frozen=True)
class Sums:
    maps: Tensor
    seconds: Tensor


@dataclass(frozen=True)
class Nested:
    sums: Sums
    count: Tensor


class Carry(TemporalFusion):
    """A stage with a state of its own: a decayed sum of all maps ever seen, unaligned."""

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        raise NotImplementedError

    def initial_state(self, batch, device, dtype) -> Nested:
        maps = torch.zeros(batch, self.channels, *self.grid.shape, device=device, dtype=dtype)
        return Nested(Sums(maps, torch.zeros(batch, dtype=torch.float64)), torch.zeros(batch, dtype=torch.long))

    def step(self, state, bev, pose, dt, valid):
        kept = state.sums.maps * 0.5 + pose.sum(1).float()[:, None, None, None] * 0.1
        maps = torch.where(valid[:, None, None, None], kept + bev, state.sums.maps)
        return maps, Nested(Sums(maps, state.sums.seconds + dt), state.count + valid)


@pytest.fixture(params=[*(name for name, made in STAGES.items() if made.level == "bev8"), "carry"])
def model(request, make_model) -> WoTE:
    if request.param == "carry":
        model = make_model()
        model.fusion = Carry(model.fusion.channels, model.fusion.grid, T, renormalise=False)
    else:
        model = make_model(stage=request.param, num_frames=1 if request.param == "none" else T)
    return model.eval()


@pytest.fixture
def convgru(make_model) -> WoTE:
    return make_model(stage="convgru", num_frames=T).eval()


def plans(planner: StreamingPlanner, frames: list[StreamFrames]) -> Tensor:
    return torch.stack([planner.push(frame).trajectory for frame in frames])


def alike(a: Tensor, b: Tensor) -> bool:
    return bool(torch.equal(a.isnan(), b.isnan())) and torch.equal(a.nan_to_num(), b.nan_to_num())


def test_one_stream_equals_the_windows(make_model, micro):
    """Windows written out here, with a dropped frame; ``plan`` itself encodes all frames in one batch."""
    for stage in (name for name, made in STAGES.items() if made.step is TemporalFusion.step):
        n = 1 if stage == "none" else T
        model = make_model(stage=stage, num_frames=n).eval()
        frames = drive_frames(micro, 9)
        there = [t != 5 for t in range(9)]
        planner = StreamingPlanner(model)
        streamed = plans(planner, [f if ok else dropped(f, 0) for f, ok in zip(frames, there, strict=True)])
        bev = encoded_one_by_one(model, *(torch.cat([getattr(f, k) for f in frames]) for k in ("camera", "lidar")))
        for t in range(9):
            if not there[t]:
                assert streamed[t].isnan().all()
                continue
            index = torch.arange(t - n + 1, t + 1)
            valid = torch.tensor([[i >= 0 and there[max(i, 0)] for i in index.tolist()]])
            index = index.where(valid[0], torch.tensor(t))
            pose = relative_to(frames[t].pose.numpy(), torch.cat([frames[i].pose for i in index]).numpy())
            ages = [(frames[t].timestamp_us - frames[i].timestamp_us).item() * 1e-6 for i in index]
            window = {
                "frame_index": index[None],
                "valid": valid,
                "pose": torch.from_numpy(pose)[None].float() * valid[..., None],
                "dt": torch.tensor([ages]) * valid,
                "status": frames[t].status,
            }
            with torch.no_grad():  # as in ``plan``: with gradients the transformers take another path
                exact = model.select(model.fuse(bev, window), window["status"])["trajectory"]
            assert torch.equal(streamed[t], exact)
            pixels = {k: torch.cat([getattr(f, k) for f in frames]) for k in ("camera", "lidar")}
            torch.testing.assert_close(streamed[t], model.plan({**window, **pixels})["trajectory"], atol=1e-4, rtol=0)


def test_history_acts_and_drops_matter(convgru, micro):
    frames = drive_frames(micro, 5)
    alone = torch.stack([StreamingPlanner(convgru).push(f).trajectory for f in frames])
    together = plans(StreamingPlanner(convgru), frames)
    with_drop = plans(StreamingPlanner(convgru), [*frames[:2], dropped(frames[2], 0), *frames[3:]])
    assert [torch.equal(a, b) for a, b in zip(alone, together, strict=True)] == [True, *[False] * 4]
    assert [alike(a, b) for a, b in zip(together, with_drop, strict=True)] == [True, True, False, False, False]


def test_single_frame_model_needs_no_memory(make_model, micro):
    model = make_model().eval()
    planner = StreamingPlanner(model)
    for frame in drive_frames(micro, 3):
        bev = encoded_one_by_one(model, frame.camera, frame.lidar)
        with torch.no_grad():
            assert torch.equal(planner.push(frame).trajectory, model.select(bev, frame.status)["trajectory"])
    assert sum(tensor.numel() for tensor in planner.state_dict()["fusion"].values()) == 0


def test_streams_of_a_batch_are_single_streams(model, micro):
    """With drops, a reset by time and one by pose, each in a stream of its own."""
    frames = drive_frames(micro, 8, streams=3)
    frames[3] = dropped(frames[3], 0, 1)
    frames[4] = dropped(frames[4], 0, 1, 2)
    late = torch.tensor([0, 700_000, 0])
    frames[5:] = [replace(f, timestamp_us=f.timestamp_us + late) for f in frames[5:]]
    frames[6:] = [replace(f, pose=f.pose + torch.tensor([[0.0], [0.0], [80.0]])) for f in frames[6:]]
    together = StreamingPlanner(model, streams=3)
    alone = [StreamingPlanner(model) for _ in range(3)]
    for t, frame in enumerate(frames):
        plan = together.push(frame)
        for s, planner in enumerate(alone):
            one = planner.push(of_stream(frame, s))
            torch.testing.assert_close(plan.trajectory[s], one.trajectory[0], atol=1e-4, rtol=0, equal_nan=True)
            assert plan.planned[s] == one.planned[0] == frame.present[s]
            assert plan.resets[s] == one.resets[0]
            assert (plan.resets[s] is not None) == ((t, s) in {(5, 1), (6, 2)})


@pytest.mark.parametrize("kind", ["time", "pose"])
def test_a_reset_stream_is_a_new_one_and_says_why(model, micro, kind):
    frames = drive_frames(micro, 7)
    if kind == "time":
        frames[4:] = [replace(f, timestamp_us=f.timestamp_us + 60_000_000) for f in frames[4:]]
    else:
        frames[4:] = [replace(f, pose=f.pose + torch.tensor([[30.0, 0.0, 0.0]])) for f in frames[4:]]
    planner, fresh = StreamingPlanner(model), StreamingPlanner(model)
    resets = []
    for t, frame in enumerate(frames):
        plan = planner.push(frame)
        resets.append(plan.resets[0])
        if t >= 4:
            assert torch.equal(plan.trajectory, fresh.push(frame).trajectory)
    assert [reason is not None for reason in resets] == [False] * 4 + [True] + [False] * 2
    assert ("max_gap_s = 0.55" if kind == "time" else "m/s) allow") in resets[4]


def test_a_silence_with_ticks_is_no_jump(convgru, micro):
    """Dropped frames keep the time: two seconds in ticks of half a second are not a gap, the window just empties."""
    frames = drive_frames(micro, 8)
    planner, fresh = StreamingPlanner(convgru), StreamingPlanner(convgru)
    for frame in (*frames[:2], *(dropped(f, 0) for f in frames[2:7])):
        assert planner.push(frame).resets == (None,)
    assert torch.equal(planner.push(frames[7]).trajectory, fresh.push(frames[7]).trajectory)


def test_reset_by_hand(model, micro):
    frames = drive_frames(micro, 5, streams=2)
    planner = StreamingPlanner(model, streams=2)
    plans(planner, frames[:3])
    planner.reset(1)
    early = replace(frames[3], timestamp_us=frames[3].timestamp_us - torch.tensor([0, 10**12]))
    mixed = planner.push(early)
    new, on = StreamingPlanner(model), StreamingPlanner(model)
    plans(on, [of_stream(f, 0) for f in frames[:3]])
    for s, planner_of in ((0, on), (1, new)):
        expected = planner_of.push(of_stream(early, s)).trajectory[0]
        torch.testing.assert_close(mixed.trajectory[s], expected, atol=1e-4, rtol=0)
    planner.reset()
    with pytest.raises(UserError, match="no stream 2"):
        planner.reset(2)


def test_stored_and_restored_goes_on_bit_for_bit(model, micro):
    frames = drive_frames(micro, 9, streams=2)
    frames[3] = dropped(frames[3], 1)
    for cut in (0, 1, 4):
        uninterrupted = StreamingPlanner(model, streams=2)
        expected = plans(uninterrupted, frames)
        first = StreamingPlanner(model, streams=2)
        for frame in frames[:cut]:
            first.push(frame)
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        first.push(frames[cut])  # what is stored does not change with its planner
        file.seek(0)
        second = StreamingPlanner(model, streams=2)
        second.load_state_dict(torch.load(file, weights_only=True))
        assert alike(plans(second, frames[cut:]), expected[cut:])


def test_a_state_of_another_planner_is_refused(make_model, micro):
    frames = drive_frames(micro, 2)
    planner = StreamingPlanner(make_model(stage="convgru", num_frames=T).eval())
    plans(planner, frames)
    state = planner.state_dict()
    others = {
        "num_frames = 4, this planner 3": StreamingPlanner(make_model(stage="convgru", num_frames=3).eval()),
        "stage = ConvGRUFusion, this planner NoFusion": StreamingPlanner(make_model().eval()),
        "streams = 1, this planner 2": StreamingPlanner(planner.model, streams=2),
        "channels = 32, this planner 64": StreamingPlanner(
            make_model(replace(micro, stage_channels=(16, 16, 32, 64)), "convgru", T).eval()
        ),
    }
    for difference, other in others.items():
        with pytest.raises(UserError, match=difference):
            other.load_state_dict(state)
    with pytest.raises(UserError, match="fusion stage"):
        planner.load_state_dict({**state, "fusion": {"h": state["fusion"]["0.bev"]}})
    with pytest.raises(UserError, match="stage = None"):
        planner.load_state_dict({"something": "else"})


def test_memory_is_constant_and_a_push_is_one_backbone_pass(convgru, micro):
    planner, calls = StreamingPlanner(convgru), []
    maps, plan = torch.ones(1, convgru.fusion.channels, *convgru.fusion.grid.shape), convgru.trajectory_anchors[:1]
    convgru.encode = lambda camera, lidar: calls.append(len(camera)) or maps
    convgru.select = lambda fused, status: {"trajectory": plan}
    frames, sizes = drive_frames(micro, 12), []
    for push in range(200):
        lap = 10_000_000 * (push // 12)
        frame = replace(frames[push % 12], timestamp_us=frames[push % 12].timestamp_us + lap)
        planner.push(dropped(frame, 0) if push % 12 == 7 else frame)
        assert isinstance(planner._state.phases[0], RingBuffer)
        held = planner._state.tensors().values()
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in held))
        assert not any(tensor.requires_grad for tensor in held)
    assert len(set(sizes)) == 1
    assert calls == [1] * (200 - 17)  # a dropped frame is not encoded


def test_under_inference_mode_and_with_gradients_on(convgru, micro):
    frames = drive_frames(micro, 5)
    expected = plans(StreamingPlanner(convgru), frames)
    with torch.inference_mode():
        planner = StreamingPlanner(convgru)
        inside = plans(planner, frames[:3])
    outside = plans(planner, frames[3:])
    assert torch.equal(torch.cat((inside, outside)), expected)
    assert not expected.requires_grad


def test_under_autocast(convgru, micro):
    """The memory has the type of the maps, as in a window."""
    planner, frames = StreamingPlanner(convgru), drive_frames(micro, 3)
    with torch.autocast("cpu", torch.bfloat16):
        plans(planner, [dropped(frames[0], 0), frames[1], dropped(frames[2], 0)])
    assert planner.state_dict()["dtype"] == "bfloat16"
    assert planner.state_dict()["fusion"]["0.bev"].dtype == torch.bfloat16


def test_nothing_before_the_first_frame(model, micro):
    frames = drive_frames(micro, 4)
    planner = StreamingPlanner(model)
    long_ago = replace(dropped(frames[0], 0), timestamp_us=torch.ones(1, dtype=torch.int64))
    assert planner.push(long_ago).trajectory.isnan().all()
    late, fresh = plans(planner, frames[1:]), plans(StreamingPlanner(model), frames[1:])
    assert torch.equal(late, fresh)


def test_training_mode_is_refused(convgru, micro):
    planner = StreamingPlanner(convgru)
    convgru.fusion.train()
    with pytest.raises(UserError, match=r"'fusion' is in training mode"):
        planner.push(drive_frames(micro, 1)[0])
    with pytest.raises(UserError, match="training mode"):
        StreamingPlanner(convgru.train())


def spoilt(frame: StreamFrames, field: str, value: float) -> StreamFrames:
    changed = getattr(frame, field).clone()
    changed.view(-1)[-1] = value
    return replace(frame, **{field: changed})


BAD = {
    r"stream 1: timestamp_us 7 does not come after the last one, 16\d+": lambda f: spoilt(f, "timestamp_us", 7),
    r"present, but its pose is \[.*nan\]": lambda f: spoilt(f, "pose", torch.nan),
    r"present, but its status is \[.*inf\]": lambda f: spoilt(f, "status", torch.inf),
    r"camera is \(2, 1, 64, 128\), this planner takes \(2, 3, 64, 128\)": lambda f: replace(f, camera=f.camera[:, :1]),
    r"lidar is \(2, 1, 64, 128\), .* takes \(2, 1, 128, 128\)": lambda f: replace(f, lidar=f.lidar[:, :, ::2]),
    r"status is \(2, 7\), this planner takes \(2, 8\)": lambda f: replace(f, status=f.status[:, :7]),
    r"camera is \(1, 3, .* takes \(2, 3, .*\(2 streams\)": lambda f: of_stream(f, 0),
    r"camera is torch.float32, .* takes torch.uint8": lambda f: replace(f, camera=f.camera / 255),
    r"pose is torch.float32, .* takes torch.float64": lambda f: replace(f, pose=f.pose.float()),
}


def test_bad_frames_are_refused_and_change_nothing(convgru, micro):
    frames = drive_frames(micro, 5, streams=2)
    planner, untroubled = StreamingPlanner(convgru, streams=2), StreamingPlanner(convgru, streams=2)
    plans(planner, frames[:3])
    for message, spoil in BAD.items():
        with pytest.raises(UserError, match=message):
            planner.push(spoil(frames[3]))
    assert torch.equal(plans(planner, frames[3:]), plans(untroubled, frames)[3:])


def test_limits(convgru):
    for bad in ({"streams": 0}, {"max_gap_s": 0.0}, {"max_slip_m": float("nan")}):
        with pytest.raises(UserError, match=next(iter(bad))):
            StreamingPlanner(convgru, **bad)
    planner = StreamingPlanner(convgru)
    assert planner.limits.max_gap_s == Scene.__dataclass_fields__["max_gap_s"].default
    assert planner.limits.max_slip_m == 8  # cells of 16 m
