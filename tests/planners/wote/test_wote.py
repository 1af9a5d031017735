"""WoTE as a whole: shapes, batching, windows, precisions, gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from defaults import loss_weights

from wotempo.errors import UserError
from wotempo.fusion import build_fusion
from wotempo.planners.config import ModelConfig, sizes
from wotempo.planners.registry import build_planner
from wotempo.planners.wote.losses import compute_losses
from wotempo.planners.wote.wote import WoTE


@pytest.mark.parametrize("future_steps", [1, 2])
@pytest.mark.parametrize("mode", ["compat", "fixed"])
def test_forward_gives_every_supervised_output(make_model, make_batch, micro, mode, future_steps):
    config = replace(micro, mode=mode, future_steps=future_steps, agent_head=True)
    out = make_model(config)(make_batch(config, samples=2, sampled=3))
    n, shape = config.num_anchors, config.map_shape
    assert {key: tuple(value.shape) for key, value in out.items()} == {
        "im_rewards": (2, n),
        "sim_rewards": (2, 5, n),
        "trajectory_anchors": (n, 8, 3),
        "trajectory_offset": (2, n, 8, 3),
        "trajectory_offset_rewards": (2, n),
        "bev_semantic_map": (2, 8, *shape),
        "fut_bev_semantic_map": (6, 8, *shape),
        "agent_states": (2, 6, 5),
        "agent_labels": (2, 6),
        "fused_bev": (2, config.bev_channels, *config.bev_shape),
    }
    torch.testing.assert_close(out["im_rewards"].sum(-1), torch.ones(2))


def test_the_tiny_preset_runs(make_model, make_batch):
    out = make_model(sizes("wote_tiny"), "convgru", 2)(make_batch(sizes("wote_tiny"), samples=1, window=2))
    assert out["fused_bev"].shape == (1, 128, 8, 8)
    assert out["bev_semantic_map"].shape == (1, 8, 128, 256)


def test_without_supervision_the_sampled_future_is_not_needed(make_model, make_batch):
    batch = make_batch()
    del batch["sampled_anchor"]
    assert "fut_bev_semantic_map" not in make_model().eval()(batch, supervise=False)


@pytest.mark.parametrize("mode", ["compat", "fixed"])
@pytest.mark.parametrize("stage", ["none", "convgru"])
def test_a_batch_is_planned_as_its_samples_are(make_model, make_batch, micro, stage, mode):
    model = make_model(replace(micro, mode=mode), stage, 1 if stage == "none" else 3).double().eval()
    batch = make_batch(samples=3)
    batch["status"] *= 10
    together = model.plan(batch)
    choices = set()
    for i in range(3):
        window = {key: batch[key][i : i + 1] for key in ("frame_index", "valid", "pose", "dt", "status")}
        alone = model.plan({**batch, **window})
        for key, value in alone.items():
            torch.testing.assert_close(value[0], together[key][i], msg=lambda m, k=key: f"{k}: {m}")
        choices.add(int(alone["final_rewards"].argmax()))
    assert together["trajectory"].shape == (3, 8, 3)
    assert len(choices) > 1, "samples that all choose the same anchor would not show a mix-up"


def test_the_plan_is_the_refined_anchor_of_the_highest_score(make_model, make_batch):
    model = make_model().eval()
    batch = make_batch()
    plan, out = model.plan(batch), model(batch)
    refined = model.trajectory_anchors + out["trajectory_offset"]
    torch.testing.assert_close(plan["all_trajectory"], refined)
    best = plan["final_rewards"].argmax(-1)
    assert torch.equal(plan["trajectory"], plan["all_trajectory"][torch.arange(3), best])
    assert not torch.allclose(plan["im_rewards"], out["im_rewards"]), "the refined trajectories must be encoded again"


def test_anchors_have_no_identity(make_model, make_batch):
    """Permuted anchors give permuted results: no parameter belongs to an anchor."""
    model, batch = make_model().eval(), make_batch()
    before = model.plan(batch)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    model.trajectory_anchors.data = model.trajectory_anchors.data[order]
    after = model.plan(batch)
    torch.testing.assert_close(after["final_rewards"], before["final_rewards"][:, order], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after["trajectory"], before["trajectory"], rtol=1e-4, atol=1e-5)


def test_a_single_frame_stage_encodes_current_frames_only(make_model, make_batch):
    model, batch = make_model().eval(), make_batch(samples=3, window=3)
    seen = []
    model._backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.plan(batch)
    assert torch.equal(seen[0], batch["camera"][2:].float() / 255)


def test_an_invalid_frame_is_neither_encoded_nor_read(make_model, make_batch):
    model, batch = make_model(stage="convgru", num_frames=3).eval(), make_batch(samples=3, window=3)
    batch["valid"][:, 0] = False
    batch["valid"][:, 1] = torch.tensor([False, True, True])
    expected = model.plan(batch)
    seen = []
    model._backbone.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    batch["frame_index"] = torch.tensor([[0, 0, 2], [-1, 2, 3], [99, 3, 4]])  # whatever stands there
    torch.testing.assert_close(model.plan(batch), expected)
    assert seen == [3]


def test_history_changes_the_plan_only_through_the_fusion_stage(make_model, make_batch):
    batch = make_batch(samples=2, window=3)
    batch["valid"][:] = True
    changed = {**batch, "camera": batch["camera"].clone()}
    changed["camera"][1] = 255 - changed["camera"][1]  # history of both samples, current of none
    for stage, frames, differs in (("none", 1, False), ("convgru", 3, True)):
        model = make_model(stage=stage, num_frames=frames).eval()
        a, b = model.plan(batch)["final_rewards"], model.plan(changed)["final_rewards"]
        assert torch.equal(a, b) != differs, stage


def test_fuse_gathers_what_encode_gave(make_model, make_batch):
    """The parts, called one by one on all frames, are what forward does."""
    model, batch = make_model(stage="convgru", num_frames=3).eval(), make_batch()
    bev = model.encode(batch["camera"].float() / 255, batch["lidar"].float() / 5)
    torch.testing.assert_close(model.fuse(bev, batch), model(batch)["fused_bev"], rtol=1e-4, atol=1e-5)


def test_bf16_autocast_trains(make_model, make_batch):
    model, batch = make_model(stage="convgru", num_frames=3), make_batch()
    wide = model.eval()(batch)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(batch)
        losses = compute_losses(out, batch, loss_weights())
    sum(losses.values()).backward()
    for key in ("im_rewards", "sim_rewards", "trajectory_offset", "trajectory_offset_rewards"):
        assert out[key].dtype == torch.float32
        assert (out[key] - wide[key]).square().mean() < 0.01 * wide[key].square().mean(), key
    assert out["fused_bev"].dtype == torch.bfloat16, "the backbone did not run in bf16: the test shows nothing"
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.plan(batch)["trajectory"].dtype == torch.float32


def test_activation_checkpointing_changes_memory_and_nothing_else(make_model, make_batch, micro):
    results, kept = [], []
    for checkpointing in (False, True):
        config = replace(micro, activation_checkpointing=checkpointing, dropout=0.1)
        model, batch = make_model(config, "convgru", 3).train(), make_batch(config)
        torch.manual_seed(3)  # of dropout
        held: dict[int, int] = {}

        def count(x, held=held):
            held[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            loss = sum(compute_losses(model(batch), batch, loss_weights()).values())
        loss.backward()
        results.append((loss, {n: p.grad for n, p in model.named_parameters()}, model.state_dict()))
        kept.append(sum(held.values()))
    for plain, recomputed in zip(*results, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=1e-5, atol=1e-6)
    assert kept[1] < 0.5 * kept[0]


def test_float64_runs_and_agrees(make_model, make_batch):
    batch = make_batch()
    single = make_model(stage="convgru", num_frames=3).eval()(batch)
    double = make_model(stage="convgru", num_frames=3).double().eval()(batch)
    for key, value in double.items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, single[key].double(), rtol=1e-3, atol=1e-4, msg=lambda m, k=key: f"{k}: {m}")


def test_the_fused_kernels_of_inference_change_nothing(make_model, make_batch):
    """torch's transformer layers take another path in eval mode without gradients."""
    model, batch = make_model().eval(), make_batch()
    with torch.no_grad():
        fast = model(batch)
    torch.testing.assert_close(fast, {k: v.detach() for k, v in model(batch).items()}, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("agent_head", [False, True])
def test_every_trainable_parameter_gets_a_gradient(make_model, make_batch, micro, agent_head):
    config = replace(micro, agent_head=agent_head)
    model, batch = make_model(config, "convgru", 3), make_batch(config)
    weights = loss_weights(agent_cls=1.0 * agent_head, agent_box=1.0 * agent_head)
    sum(compute_losses(model(batch), batch, weights).values()).backward()
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, gradient in trained.items() if gradient is None] == []
    # What a softmax or a batch norm takes out again has the gradient zero, by mathematics.
    free = (".key.bias", "conv_net.conv1.bias", "conv_net.conv2.bias", "reward_head.2.bias", "offset_score_head.2.bias")
    assert [n for n, gradient in trained.items() if not gradient.any() and not n.endswith(free)] == []
    frozen = {n.split(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
    agents = {"agent_head", "agent_query_embedding", "agent_tf_decoder"}
    assert frozen == {"trajectory_anchors"} | (set() if agent_head else agents)


def test_a_few_steps_learn_one_batch(make_batch, micro):
    torch.manual_seed(0)
    batch = make_batch(samples=2, window=2)
    batch["valid"][:] = True
    batch["bev_map"] = (torch.arange(64) // 8).to(torch.uint8).expand(2, 32, 64)
    anchors = torch.randn(micro.num_anchors, 8, 3) * 5
    model = build_planner("wote", micro, {"name": "convgru", "num_frames": 2}, anchors.numpy()).train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    history = []
    for _ in range(60):
        losses = compute_losses(model(batch), batch, loss_weights())
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
        history.append({name: value.item() for name, value in losses.items()})
    with torch.no_grad():  # in evaluation mode: the running statistics must have followed
        last = compute_losses(model.eval()(batch), batch, loss_weights())
    for name in ("traj_offset", "im_reward", "map"):
        assert last[name] < 0.75 * history[0][name], (name, [h[name] for h in history], last[name])


def test_the_rest_starts_alike_whichever_stage_is_chosen(micro):
    states = []
    for fusion in ({"name": "none"}, {"name": "convgru", "num_frames": 3}):
        torch.manual_seed(5)
        model = build_planner("wote", micro, {"num_frames": 1, **fusion}, torch.zeros(12, 8, 3).numpy())
        states.append({k: v for k, v in model.state_dict().items() if not k.startswith("fusion.")})
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_what_does_not_fit_is_named(micro, make_model, make_batch):
    none = build_fusion("none", micro.bev_channels, micro.bev_grid)
    with pytest.raises(UserError, match=r"\(5, 8, 3\), not \(12, 8, 3\)"):
        WoTE(micro, torch.zeros(5, 8, 3), none)
    with pytest.raises(UserError, match="64 channels"):
        WoTE(micro, torch.zeros(12, 8, 3), build_fusion("none", 64, micro.bev_grid))
    with pytest.raises(UserError, match="compat, fixed"):
        replace(micro, mode="better")
    with pytest.raises(UserError, match="future_steps is 3"):
        replace(micro, future_steps=3)
    with pytest.raises(ValueError, match="sees 3 frames, the batch holds 2"):
        make_model(stage="convgru", num_frames=3).plan(make_batch(window=2))
    batch = make_batch()
    batch["camera"] = batch["camera"].float()
    with pytest.raises(TypeError, match=r"batch\['camera'\] is torch.float32"):
        make_model().plan(batch)


def test_the_config_survives_being_plain_data(micro):
    lists = {k: list(v) if isinstance(v, tuple) else v for k, v in micro.to_dict().items()}
    assert ModelConfig(**lists) == micro


def test_hidden_scenes_are_hidden_in_training_only(make_model, make_batch, micro):
    model = make_model(replace(micro, scene_dropout=0.4, cell_dropout=0.25)).train()
    scene = torch.rand(4000, micro.cells, micro.d_model) + 1
    torch.manual_seed(0)
    seen = model._partly_hidden(scene)
    kept = (seen == scene).all(-1)
    assert (kept | (seen == 0).all(-1)).all(), "a cell is whole or hidden"
    samples = kept.any(-1)
    assert samples.float().mean() == pytest.approx(0.6, abs=0.03)
    assert kept[samples].float().mean() == pytest.approx(0.75, abs=0.01)
    assert model.eval()._partly_hidden(scene) is scene
    assert make_model(micro).train()._partly_hidden(scene) is scene


def test_a_hidden_scene_still_teaches_its_map(make_model, make_batch, micro):
    """All planning blind, the map's loss reaches the camera; the plan's does not."""
    model = make_model(replace(micro, scene_dropout=1 - 1e-9)).train()
    first = next(model._backbone.parameters())
    out = model(make_batch())
    of_plans = torch.autograd.grad(out["im_rewards"][:, 0].sum(), first, retain_graph=True)[0]
    assert of_plans.eq(0).all()
    assert torch.autograd.grad(out["bev_semantic_map"].square().sum(), first)[0].ne(0).any()


@pytest.mark.parametrize("name", ["scene_dropout", "cell_dropout"])
def test_a_share_is_a_share(micro, name):
    with pytest.raises(UserError, match=f"model.{name} is 1.0; set it to a share"):
        replace(micro, **{name: 1.0})


def test_plans_are_chosen_by_the_refined_trajectories_or_by_the_anchors(make_model, make_batch, micro):
    """By the anchors: the scores are those of training, and the plan is still a refined one."""
    batch = make_batch(samples=3)
    model = make_model(replace(micro, evaluate_refined=False)).eval()
    plan, trained = model.plan(batch), model(batch, supervise=False)
    torch.testing.assert_close(plan["im_rewards"], trained["im_rewards"])
    torch.testing.assert_close(plan["all_trajectory"], trained["trajectory_anchors"] + trained["trajectory_offset"])
    chosen = plan["all_trajectory"][torch.arange(3), plan["final_rewards"].argmax(1)]
    torch.testing.assert_close(plan["trajectory"], chosen)
    published = make_model(micro).eval()
    published.load_state_dict(model.state_dict())
    assert not torch.allclose(published.plan(batch)["im_rewards"], plan["im_rewards"])
