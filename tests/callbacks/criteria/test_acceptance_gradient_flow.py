"""Gradient must reach every valid history frame, up to the encoder, and no frame that is missing."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader
from toy_drive import loader, make_batch
from toy_run import STEPS, ToyFusion, ToyModule, failing, judge, ten_guards

from callbacks import GradientFlowGuard
from callbacks.base.eager import hookable


class DetachedFusion(ToyFusion):
    def forward(self, bev, pose, valid):
        bev = torch.cat((bev[:, :-1].detach(), bev[:, -1:]), 1)
        return super().forward(bev, pose, valid)


class ForgetsOldest(ToyFusion):
    def forward(self, bev, pose, valid):
        bev = torch.cat((bev[:, :1].detach(), bev[:, 1:]), 1)
        return super().forward(bev, pose, valid)


class Unmasked(ToyFusion):
    def align(self, bev, pose, valid):
        return super().align(bev, pose, torch.ones_like(valid))


def with_fusion(stage: type[ToyFusion]) -> ToyModule:
    module = ToyModule()
    module.fusion = stage(8)
    return module


class HistoryWithoutGradient(ToyModule):
    """The usual trick to save memory: history is encoded under no_grad, the current frames with gradient."""

    def gather(self, batch):
        index = batch["frame_index"]
        with torch.no_grad():
            bev = self.encode(batch["lidar"])[index]
        now = self.encode(batch["lidar"][index[:, -1]])
        return torch.cat((bev[:, :-1], now[:, None]), 1)


class OnlyFramesThatAreCurrentSomewhere(ToyModule):
    """The same trick on packed batches: a frame that is history here and current there does get gradient."""

    def encode(self, lidar):
        with torch.no_grad():
            cut = super().encode(lidar)
        return torch.where(self.is_current[:, None, None, None], super().encode(lidar), cut)

    def gather(self, batch):
        self.is_current = torch.zeros(len(batch["lidar"]), dtype=torch.bool)
        self.is_current[batch["frame_index"][:, -1]] = True
        return super().gather(batch)


def test_frames_that_samples_share_hide_nothing(tmp_path):
    packed = [make_batch(list(range(start, start + 4))) for start in range(3, 83, 2)]
    train = DataLoader(packed, batch_size=None)
    report, raised = judge(tmp_path / "a", OnlyFramesThatAreCurrentSomewhere(), train)
    assert failing(report) == ["gradient_flow"]
    assert "cut off from the encoder" in str(raised)
    report, _ = judge(tmp_path / "b", ToyModule(), train, guards=[GradientFlowGuard()])
    assert report.guards[0].status == "pass"


@pytest.mark.parametrize(
    ("module", "finding"),
    [
        (lambda: with_fusion(DetachedFusion), "reaches 0% of the valid history frames"),
        (lambda: with_fusion(ForgetsOldest), "none at all reaches frame -3"),
        (HistoryWithoutGradient, "cut off from the encoder"),
    ],
)
def test_cut_gradient_ends_the_run(tmp_path, module, finding):
    report, raised = judge(tmp_path, module())
    assert failing(report) == ["gradient_flow"], report.card()
    assert (report.status, report.exit_code) == ("rejected", 19)
    assert finding in str(raised)
    assert raised.step <= 22


def test_gradient_into_missing_frames_is_found(tmp_path):
    def gap(batch: dict, number: int) -> None:
        batch["valid"][0, 1] = False

    report, raised = judge(tmp_path, with_fusion(Unmasked), loader(STEPS, fault=gap))
    assert failing(report) == ["gradient_flow"]
    assert "frames that are not valid get gradient" in str(raised)
    report, raised = judge(tmp_path / "masked", ToyModule(), loader(STEPS, fault=gap))
    assert raised is None
    assert report.guards[9].status == "pass"


def test_gradient_that_is_lost_later_is_found(tmp_path):
    class LosesIt(ToyFusion):
        def forward(self, bev, pose, valid):
            if self.training and self.calls > 24:
                bev = torch.cat((bev[:, :-1].detach(), bev[:, -1:]), 1)
            self.calls += self.training
            return super().forward(bev, pose, valid)

        calls = 0

    guards = ten_guards(gradient_flow=GradientFlowGuard(every=10, patience=5))
    report, raised = judge(tmp_path, with_fusion(LosesIt), guards=guards)
    assert failing(report) == ["gradient_flow"]
    assert raised.step == 34  # the look at step 30 finds it, four more confirm it


def test_short_run_with_a_cut_fails_at_the_end(tmp_path):
    report, raised = judge(tmp_path, with_fusion(DetachedFusion), loader(12), guards=[GradientFlowGuard()])
    assert raised is None
    assert failing(report) == ["gradient_flow"]
    assert report.exit_code == 19


def test_learning_rate_that_warms_up_from_zero_is_healthy(tmp_path):
    class WarmUp(ToyModule):
        def configure_optimizers(self):
            optimiser = torch.optim.Adam(self.parameters(), 0.01)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.0 if step < 6 else 1.0)
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    report, raised = judge(tmp_path, WarmUp())
    assert raised is None
    guard = report.guards[9]
    assert (guard.status, guard.memory["good"]) == ("pass", 3)
    assert guard.memory["looked"] == 8  # steps 2 to 6 show nothing yet


def test_frozen_encoder_fails_unless_declared(tmp_path):
    def frozen() -> ToyModule:
        module = ToyModule()
        module.encoder.requires_grad_(False)
        return module

    report, _ = judge(tmp_path / "a", frozen())
    assert failing(report) == ["gradient_flow"]
    declared = ten_guards(gradient_flow=GradientFlowGuard(upstream=False))
    report, raised = judge(tmp_path / "b", frozen(), guards=declared)
    assert raised is None
    assert report.guards[9].status == "pass", report.guards[9].message


def test_a_stage_on_raw_inputs_has_no_encoder_to_ask(tmp_path):
    class Raw(ToyModule):
        raw_history = True

        def gather(self, batch):
            return super().gather(batch).detach()

    report, raised = judge(tmp_path / "a", Raw())
    assert raised is None
    assert report.guards[9].status == "pass", report.guards[9].message
    assert "the encoder beyond was not asked" in report.guards[9].message
    detached = Raw()
    detached.fusion = DetachedFusion(8)  # downstream is judged all the same
    assert failing(judge(tmp_path / "b", detached)[0]) == ["gradient_flow"]


def test_look_changes_nothing(tmp_path):
    """The same run with and without the guard ends with the same weights."""
    weights = []
    for name, guards in (("a", []), ("b", [GradientFlowGuard()])):
        torch.manual_seed(3)
        module = ToyModule()
        judge(tmp_path / name, module, loader(10), guards=guards)
        weights.append(module.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # dynamo looks at its inputs
def test_compiled_stage_is_still_seen(tmp_path):
    module = ToyModule()
    module.fusion.compile(backend="eager")
    report, _ = judge(tmp_path, module, loader(STEPS))
    assert report.guards[9].status == "pass"


def test_accumulated_gradients(tmp_path):
    report, raised = judge(tmp_path, accumulate_grad_batches=2)
    assert raised is None
    assert report.guards[9].status == "pass"


def test_steps_that_the_fp16_scaler_skips_are_no_looks_in_vain(tmp_path):
    """A zero projection passes no gradient before the first real step, over many micro-batches."""

    class Skips(ToyModule):
        def on_after_backward(self):
            if self.global_step < 12:
                self.head.weight.grad.fill_(float("inf"))

    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**16))
    report, raised = judge(tmp_path, Skips(), loader(80), accumulate_grad_batches=4, plugins=plugin)
    assert raised is None
    assert report.guards[9].status == "pass"


def test_patience_does_not_end_while_it_gets_better(tmp_path):
    guard = GradientFlowGuard(first_step=0, patience=2)  # in vain, good (out of patience), good, good
    _, raised = judge(tmp_path, guards=ten_guards(gradient_flow=guard))
    assert raised is None
    assert guard.status == "pass"


def test_module_without_a_stage_is_inconclusive(tmp_path):
    class Without(ToyModule):
        temporal_fusion = property()

    guards = [GradientFlowGuard()]
    report, _ = judge(tmp_path, Without(), guards=guards)
    assert guards[0].message == "the module has no temporal_fusion"
    assert report.exit_code == 19


def test_compiled_module_runs_eagerly_while_it_is_watched():
    runs = []

    def backend(graph, inputs):
        return lambda *args: (runs.append(1), graph(*args))[1]

    module = torch.nn.Linear(2, 2)
    module.compile(backend=backend)
    module(torch.ones(1, 2))
    restore = hookable(module)
    module(torch.ones(1, 2))
    assert len(runs) == 1
    restore()
    module(torch.ones(1, 2))
    assert len(runs) == 2


class DropsFrames(ToyFusion):
    """Leaves out half of the history in training, and says so, or not."""

    honest = True

    def forward(self, bev, pose, valid):
        stays = torch.rand(valid.shape) < 0.5
        stays[:, -1] = True
        if self.honest:
            self.kept = valid & stays
        return super().forward(bev, pose, valid & stays)


def test_frames_left_out_at_random_are_no_finding_where_the_stage_says_so(tmp_path):
    report, raised = judge(tmp_path, with_fusion(DropsFrames))
    assert raised is None
    assert report.guards[9].status == "pass"
    silent = type("Silent", (DropsFrames,), {"honest": False})
    report, raised = judge(tmp_path / "silent", with_fusion(silent))
    assert failing(report) == ["gradient_flow"]


class Weighs(ToyFusion):
    """The current frame and, weighted by WEIGHTS, the history in place: gradients are known."""

    WEIGHTS = (0.0625, 0.25, 0.5)

    def forward(self, bev, pose, valid):
        weights = torch.tensor(self.WEIGHTS)[:, None, None, None] * valid[:, :-1, None, None, None]
        return bev[:, -1] + (weights * bev[:, :-1]).sum(1) + 0 * self.project(bev[:, -1])


def test_the_share_of_each_frame_is_logged(tmp_path):
    full = DataLoader([make_batch([20, 30, 40]) for _ in range(STEPS)], batch_size=None)
    shares = []

    class Records(Callback):
        def on_train_batch_end(self, trainer, *_):
            logged = trainer.callback_metrics
            shares.append([float(logged.get(f"history/grad_share_{k}", -1)) for k in (3, 2, 1, 0)])

    report, raised = judge(
        tmp_path, with_fusion(Weighs), full, guards=[GradientFlowGuard(min_share=0.9)], extra=(Records(),)
    )
    assert raised is None
    total = sum(Weighs.WEIGHTS) + 1
    expected = pytest.approx([weight / total for weight in (*Weighs.WEIGHTS, 1.0)], abs=1e-3)
    assert shares[-1] == expected
    assert report.guards[0].details["gradient_share_by_place"] == expected


def test_a_missing_frame_does_not_lower_the_share_of_its_place(tmp_path):
    """Samples at the start of a drive lack their history: shares are those of the frames that are there."""
    early = DataLoader([make_batch([1, 2, 40]) for _ in range(STEPS)], batch_size=None)
    report, raised = judge(tmp_path, with_fusion(Weighs), early, guards=[GradientFlowGuard(min_share=0.5)])
    assert raised is None
    shares = report.guards[0].details["gradient_share_by_place"]
    ratios = [share / shares[-1] for share in shares]  # the samples' gradients differ a little
    assert ratios == pytest.approx([*Weighs.WEIGHTS, 1.0], rel=0.15)
    assert sum(shares) == pytest.approx(1, abs=1e-3)
