"""History by LiDAR alone: which frames are encoded how, what reaches what, and that windows stay independent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from streams import drive_frames
from test_history_grad import same, step
from windows import apart

from wotempo.errors import UserError
from wotempo.geometry import relative_to
from wotempo.streaming.planner import StreamingPlanner

FRAMES = 3


@pytest.fixture
def model(make_model, micro):
    config = replace(micro, dropout=0.0, history_sensors="lidar")
    return make_model(config, "convgru", FRAMES).double().eval()


def alone(batch, sample):
    """The batch with one of its windows."""
    rows = {key: value[sample : sample + 1] for key, value in batch.items() if key not in ("camera", "lidar")}
    return {**rows, "camera": batch["camera"], "lidar": batch["lidar"]}


def full(make_batch, samples=3, **options):
    batch = make_batch(samples=samples, window=FRAMES, **options)
    batch["valid"][:] = True
    return batch


def test_a_window_does_not_depend_on_its_neighbours(model, make_batch):
    """Their frames are current in one window and history in another."""
    for batch in (full(make_batch), make_batch(samples=3, window=FRAMES)):
        together = model.plan(batch)
        for sample in range(3):
            for name, value in model.plan(alone(batch, sample)).items():
                torch.testing.assert_close(together[name][sample], value[0], msg=lambda m, n=name: f"{n}: {m}")


def test_a_frame_that_is_both_is_encoded_both_ways(model, make_batch, monkeypatch):
    batch, seen, encode = make_batch(samples=3, window=FRAMES), [], model.encode  # the first window has no history
    monkeypatch.setattr(
        model, "encode", lambda c, x, shown: seen.append((len(c), len(x), shown)) or encode(c, x, shown)
    )
    model.plan(batch)
    (images, frames, shown), *more = seen
    assert (images, frames, more) == (3, 3 + 3, [])
    assert shown.tolist() == [1, 1, 1, 1, 2, 1]  # frames 2, 3, 4 as current ones, then 1, 2, 3 as history


def test_camera_of_history_has_no_influence(model, make_batch):
    batch = full(make_batch, samples=1)
    expected = model.plan(batch)["fused_bev"]
    blind, deaf = dict(batch), dict(batch)
    blind["camera"], deaf["lidar"] = batch["camera"].clone(), batch["lidar"].clone()
    blind["camera"][:-1], deaf["lidar"][:-1] = 255, 0
    assert torch.equal(model.plan(blind)["fused_bev"], expected)
    assert not torch.equal(model.plan(deaf)["fused_bev"], expected)
    blind["camera"][-1] = 255
    assert not torch.equal(model.plan(blind)["fused_bev"], expected)


def test_without_history_it_is_the_model_of_both(model, make_model, make_batch):
    both = make_model(replace(model.config, history_sensors="both"), "convgru", FRAMES).double().eval()
    batch = full(make_batch)
    assert not torch.allclose(both.plan(batch)["fused_bev"], model.plan(batch)["fused_bev"])
    batch["valid"][:, :-1] = False
    torch.testing.assert_close(both.plan(batch)["fused_bev"], model.plan(batch)["fused_bev"])


def test_gradient_of_both_kinds_of_frames(model, make_batch):
    """With batch norms at rest, whose statistics would couple the frames."""
    batch, windows = full(make_batch, samples=1), []
    model.fusion.register_forward_pre_hook(lambda _, args: windows.append(args[0]))
    model(batch)
    for places, with_image in ((slice(0, -1), False), (slice(-1, None), True)):
        loss = windows[0][:, places].square().sum()
        for branch, reached in (("image_encoder", with_image), ("lidar_encoder", True)):
            parameters = list(getattr(model._backbone, branch).parameters())
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            assert {g is not None and bool(g.any()) for g in gradients} == {reached}


@pytest.mark.parametrize("kind", ["weighted", "frozen"])
def test_packed_windows_are_the_naive_computation(make_model, make_batch, micro, kind):
    """As with both sensors: loss, gradients and running statistics of windows with frames of their own."""
    config = replace(micro, dropout=0.0, history_sensors="lidar", batch_norm=kind)
    model, batch = make_model(config, "convgru", FRAMES).double().train(), full(make_batch, samples=4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    naive = step(model, apart(batch))
    after = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(before)
    same(naive, step(model, batch))
    torch.testing.assert_close(model.state_dict(), after)


def test_without_gradient_through_all_but_the_last(make_model, make_batch, micro):
    config = replace(micro, dropout=0.0, history_sensors="lidar", batch_norm="frozen", history_grad=1)
    model, batch = make_model(config, "convgru", FRAMES).double().train(), full(make_batch)
    passes, encode = [], model.encode
    model.encode = lambda c, x, n: passes.append((len(c), len(x), torch.is_grad_enabled())) or encode(c, x, n)
    model(batch)
    assert passes == [(3, 3 + 3, True), (0, 1, False)]


def test_without_gradient_through_history(make_model, make_batch, micro):
    config = replace(micro, dropout=0.0, history_sensors="lidar", batch_norm="frozen")
    model = make_model(replace(config, history_grad=0), "convgru", FRAMES).double().train()
    whole = make_model(config, "convgru", FRAMES).double().train()
    batch = full(make_batch)
    gather = whole.fuse

    def fuse(bev, view):  # of the naive computation: the current frames come first
        return gather(torch.cat((bev[:3], bev[3:].detach())), view)

    whole.fuse, encode, passes = fuse, model.encode, []
    model.encode = lambda c, x, n: passes.append((len(c), len(x), torch.is_grad_enabled())) or encode(c, x, n)
    same(step(whole, batch), step(model, batch))
    assert passes == [(3, 3, True), (0, 4, False)]


@pytest.mark.parametrize("stage", ["convgru", "convgru_recurrent", "none"])
def test_streams_equal_windows(make_model, micro, stage):
    """Bit for bit, with frames encoded as in a push; the recurrent stage as unrolled over the drive."""
    n, length = (1 if stage == "none" else FRAMES), 6
    model = make_model(replace(micro, history_sensors="lidar"), stage, n).eval()
    frames = drive_frames(micro, length)
    planner = StreamingPlanner(model)
    for t, frame in enumerate(frames):
        streamed = planner.push(frame).trajectory
        seen = range(0 if stage == "convgru_recurrent" else max(t - n + 1, 0), t + 1)
        with torch.no_grad():
            lidar = [torch.cat((frames[i].lidar, frames[i].lidar)).float() / micro.lidar_max for i in seen]
            maps = [model.encode(frames[i].camera.float() / 255, x) for i, x in zip(seen, lidar, strict=True)]
            window = torch.stack([pair[1] for pair in maps[:-1]] + [maps[-1][0]])[None]
            pose = relative_to(frame.pose.numpy(), torch.cat([frames[i].pose for i in seen]).numpy())
            valid, ages = torch.ones(1, len(seen), dtype=torch.bool), torch.zeros(1, len(seen))
            fused = model.fusion(window, torch.from_numpy(pose)[None].float(), ages, valid)
            expected = model.select(fused, frame.status)["trajectory"]
        if stage == "convgru":
            assert torch.equal(streamed, expected)
        else:
            torch.testing.assert_close(streamed, expected, atol=1e-4, rtol=0)


def test_a_stream_that_remembers_both_sensors_is_another_one(make_model, micro):
    frame = drive_frames(micro, 1)[0]
    planners = [
        StreamingPlanner(make_model(replace(micro, history_sensors=kind), "convgru", FRAMES).eval())
        for kind in ("both", "lidar")
    ]
    planners[0].push(frame)
    with pytest.raises(UserError, match="history_sensors = both, this planner lidar"):
        planners[1].load_state_dict(planners[0].state_dict())


def test_what_makes_no_sense_is_refused(micro, make_model):
    with pytest.raises(UserError, match=r"model\.history_sensors is 'camera'; set it to one of both, lidar"):
        replace(micro, history_sensors="camera")
    with pytest.raises(UserError, match=r"history_grad=0 needs model\.batch_norm=frozen, and it is 'batch'"):
        replace(micro, history_sensors="lidar", history_grad=0)


def test_batch_norms_of_the_lidar_branch_see_all_frames_at_once(make_model, make_batch, micro):
    """So that training normalises by the mixture that the running statistics keep for driving."""
    model, batch, seen = make_model(replace(micro, history_sensors="lidar"), "convgru", FRAMES), full(make_batch), []
    for branch in ("image_encoder", "lidar_encoder"):
        norm = getattr(model.train()._backbone, branch).bn1
        norm.register_forward_pre_hook(lambda _, args, n=branch: seen.append((n, len(args[0]))))
    model(batch)
    assert seen == [("image_encoder", 3), ("lidar_encoder", 3 + 4)]
