"""Wrong shapes are found before torch stumbles over them, with the name of the dimension."""

from __future__ import annotations

import pytest
import torch
from toy_drive import loader
from toy_run import STEPS, ToyModule, failing, judge, ten_guards

from callbacks import ShapeGuard


def change(field: str, how, first: int = 0):
    def fault(batch: dict, number: int) -> None:
        if number >= first:
            batch[field] = how(batch[field])

    return fault


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        (change("lidar", lambda x: x[..., :32]), "batch.lidar is .*, expected .F 1 64 64.: 32 instead of 64"),
        (change("lidar", lambda x: x.float()), "batch.lidar is torch.float32, expected torch.uint8"),
        (change("lidar", lambda x: x[:, 0]), "batch.lidar is .*, expected 4 dimensions .F 1 64 64."),
        (change("frame_index", lambda x: x.T.contiguous()[:, :3]), "frame_index is .4, 3.*3 instead of 4"),
        (change("trajectory", lambda x: x[:3]), "trajectory is .3, 8, 3.*3 instead of B .B is 4 in batch.frame_index"),
        (change("trajectory", lambda x: x.long()), "batch.trajectory is torch.int64, expected a floating point type"),
    ],
)
def test_wrong_batch(tmp_path, fault, finding):
    report, raised = judge(tmp_path, train=loader(STEPS, fault=fault))
    assert failing(report) == ["shapes"]
    assert (report.status, report.exit_code) == ("rejected", 14)
    assert raised.step == 0
    with pytest.raises(type(raised), match=finding):
        raise raised


def test_wrong_validation_batch(tmp_path):
    fault = change("lidar", lambda x: x.transpose(0, 1))
    report, raised = judge(tmp_path, val=loader(1, fault=fault))
    assert failing(report) == ["shapes"]
    assert "val: batch.lidar" in str(raised)


def test_prediction_that_would_broadcast(tmp_path):
    """The silent case: (B, 1, 3) against (B, 8, 3) broadcasts, and the loss still falls."""

    class OneForAll(ToyModule):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(10, 3)

        def forward(self, batch):
            bev = self.fusion(self.gather(batch), batch["pose"], batch["valid"])
            return self.head(torch.cat((bev.mean((2, 3)), batch["status"] / 10), -1)).unflatten(1, (1, 3))

    with pytest.warns(UserWarning, match="broadcasting"):
        report, raised = judge(tmp_path, OneForAll())
    assert failing(report) == ["shapes"]
    assert "head:out is (4, 3), expected (B 24): 3 instead of 24" in str(raised)


def test_fusion_that_drops_channels_crashes_in_torch_but_is_named(tmp_path):
    class Drops(ToyModule):
        def __init__(self):
            super().__init__()
            self.fusion.register_forward_hook(lambda module, inputs, output: output[:, :5])

    report, raised = judge(tmp_path, Drops())
    assert isinstance(raised, RuntimeError)
    assert failing(report) == ["shapes"]
    assert report.exit_code == 14
    assert "fusion:out is (4, 5, 8, 8), expected (B C h w): 5 instead of C (C is 8 in fusion:in.0)" in report.reason
    assert "mat1 and mat2 shapes cannot be multiplied" in report.reason


def test_mismatch_outside_the_contract_is_still_this_criterion(tmp_path):
    class Later(ToyModule):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) + (torch.ones(2) + torch.ones(3) if batch_idx == 9 else 0)

    report, _ = judge(tmp_path, Later())
    assert failing(report) == ["shapes"]
    assert (report.status, report.exit_code) == ("rejected", 14)


def test_other_crashes_are_not_this_criterion(tmp_path):
    class Crashes(ToyModule):
        def training_step(self, batch, batch_idx):
            raise RuntimeError("the disk is full")

    report, _ = judge(tmp_path, Crashes())
    assert failing(report) == []
    assert (report.status, report.exit_code) == ("crashed", 1)


def test_place_that_is_never_reached_is_not_a_pass(tmp_path):
    class Bypass(ToyModule):
        def forward(self, batch):
            bev = self.fusion.forward(self.gather(batch), batch["pose"], batch["valid"])  # hooks are not called
            return self.head(torch.cat((bev.mean((2, 3)), batch["status"] / 10), -1)).unflatten(1, (8, 3))

    report, raised = judge(tmp_path, Bypass())
    assert failing(report) == ["shapes"]
    assert "fusion:in.0 was declared but never seen" in str(raised)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # dynamo looks at its inputs
def test_compiled_fusion_is_still_seen(tmp_path):
    module = ToyModule()
    module.fusion.compile(backend="eager")
    report, raised = judge(tmp_path, module)
    assert raised is None
    assert report.exit_code == 0, report.card()
    assert module.fusion._compiled_call_impl is not None


def test_module_without_a_contract_is_inconclusive(tmp_path):
    module = ToyModule()
    module.shape_contract = None
    report, _ = judge(tmp_path, module)
    assert report.guards[5].status == "inconclusive"
    assert report.exit_code == 14


def test_hooks_are_removed(tmp_path):
    module = ToyModule()
    judge(tmp_path, module, guards=ten_guards(shapes=ShapeGuard()))
    assert not module.fusion._forward_hooks
    assert not module.fusion._forward_pre_hooks
    assert not module.head._forward_hooks
