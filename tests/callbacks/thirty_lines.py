"""Which of two noisy spirals is a point on? A whole Lightning project under acceptance criteria: nothing of driving,
nothing but the folder ``callbacks`` beside it. ``python thirty_lines.py nan`` breaks a batch."""

import sys

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

import callbacks as c

torch.manual_seed(0)
label = torch.randint(0, 2, (4096,))
turn = 3 * torch.rand(4096) + torch.pi * label
points = torch.stack((turn.cos(), turn.sin()), 1) + 0.1 * torch.randn(4096, 2)
points[2048 if "nan" in sys.argv else slice(0)] = torch.nan


class Spirals(L.LightningModule):
    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


module = Spirals()
module.net = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
guards = [c.CompleteGuard(), c.CheckpointGuard(), c.MemoryGuard(), c.LossGuard(), c.FiniteGuard()]
guards += [c.LearningRateGuard(), c.HistoryGuard(), c.EgoMotionGuard(), c.WarpGainGuard()]
guards += [c.GradientFlowGuard(), c.ShapeGuard("warn")]
report, recorder = c.AcceptanceReport(), c.FailureRecorder("failure")
trainer = L.Trainer(max_epochs=1, logger=False, callbacks=[recorder, *guards, report, ModelCheckpoint("files")])
try:
    trainer.fit(module, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(points, label), 64))
except c.AcceptanceError as error:
    print(error)
print(report.card())
sys.exit(report.exit_code)
