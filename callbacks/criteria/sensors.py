"""``sensors``: cameras and LiDAR are alive, and show the objects where and when the annotation has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from callbacks.base.guard import Guard, Policy
from callbacks.base.protocol import evidence_of, missing_fields, tokens_of
from callbacks.base.tally import Tally
from callbacks.measures.showing import contrast, dilated, integral, occupied

TRUE = "as annotated"
SENSORS = ("camera", "lidar")
ANY = ("half a second before", "half a second later", "mirrored")
BELIEFS = {"lidar": ANY, "camera": (*ANY, "left and right swapped")}
TWINS = "declared twin frames"
SUMS = ("frames", "gain", "gain_squared")
DULL = 1.0
"""Grey levels: a picture whose standard deviation is smaller shows nothing."""
PLAUSIBLE = 12.0
"""m/s²: an acceleration beyond that is none of a car."""


@dataclass(eq=False)
class SensorsGuard(Guard):
    """Of some batches, in training and more of them in validation:

    - each camera's part of the picture, and the LiDAR map, is not constant; it changes from frame to frame while the
      ego moves (declared twin frames are exempt, and counted); no two cameras show the same (but for ``max_share`` of
      the frames);
    - the status is that of a car now: one command, the speed of the poses, an acceleration below 12 m/s² (a future pose
      in it is found here);
    - objects are seen where the annotation has them: LiDAR cells inside of their boxes are occupied, their hulls in the
      picture differ in colour from what is around. Not so well where they were half a second before or later (a sensor
      that is late or early), on the other side (a mirrored one), in the other side camera (swapped ones). A belief that
      fits better by two standard errors is a failure; one that too few frames can tell is named as open.

    It cannot see a sensor that is shifted by less than the objects move, or one that is blurred or half covered. Where
    nothing moves beside the ego, time shifts are told by the ego's own motion.

    Args:
        max_share: of frames that may be constant, stuck or doubled.
        every: batches between two looks; in validation every batch, until four times ``frames`` were looked at.
        frames: that show objects, for each belief; with fewer than ``min_frames`` nothing is told from them.
    """

    name = "sensors"
    number = 16
    exit_code = 25
    unit = "wrong beliefs that fit better"
    sense = "≤"
    hint = "Check which file each frame's sensors are read from, the order of the cameras, and the calibration."

    max_share: float = 0.2
    every: int = 64
    frames: int = 64
    min_frames: int = 8
    policy: Policy = "fail"
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.policy, self.allow_inconclusive)
        self.limit = 0
        names = [f"{s}/{b}/{key}" for s in SENSORS for b in BELIEFS[s] for key in SUMS]
        self.tally = Tally(self.fetch, ["looked", "moving", "status", "doubled", TWINS, *self._kinds(), *names])
        self.memory = self.tally.totals
        self._last: dict[str, Tensor] = {}
        self._last_token = ""

    @staticmethod
    def _kinds() -> list[str]:
        parts = ("left camera", "front camera", "right camera", "lidar")
        return [f"{fault} {part}" for fault in ("constant", "stuck") for part in parts]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self.status == "pending" and evidence_of(trainer, "beliefs") is None:
            self.record("skipped", "the data does not say where objects should be seen (`evidence.beliefs`)")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % self.every == 0:
            self._look(trainer, batch)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        early = self.memory.get("looked", 0) < 4 * self.frames
        if batch_idx % (1 if early else self.every) == 0 and not trainer.sanity_checking:
            self._look(trainer, batch)

    @torch.no_grad()
    def _look(self, trainer: Trainer, batch: Any) -> None:
        if obstacle := missing_fields(batch, ("camera", "lidar", "frame_index", "speed", "tokens", "status")):
            self.tally.obstacle = obstacle
            return
        now = batch["frame_index"][:, -1]
        camera, lidar = batch["camera"][now].float(), batch["lidar"][now].float()
        parts: Mapping[str, tuple[float, float]] = evidence_of(trainer, "camera_parts")()
        twin = self._follows_its_twin(trainer, tokens_of(batch)).to(camera.device)
        self.tally.add(alive(camera, lidar, batch["speed"][:, -1], parts, self._last, twin))
        self.tally.add({"status": implausible(batch["status"].float(), batch["speed"][:, -1].float())})
        beliefs = evidence_of(trainer, "beliefs")
        if any(self.memory.get(f"{s}/{b}/frames", 0) < self.frames for s in SENSORS for b in BELIEFS[s]):
            near, sums = dilated(lidar), integral(camera)
            for place, token in enumerate(tokens_of(batch)):
                found: Mapping[str, Mapping[str, Any]] = beliefs(token)
                self._compare("lidar", found["lidar"], occupied, near[place])
                self._compare("camera", found["camera"], contrast, sums[place])
        self._judge_live(trainer, batch)

    def _follows_its_twin(self, trainer: Trainer, tokens: list[str]) -> Tensor:
        """(B,) bool: scenes whose current frame is declared to be that of the scene before."""
        partners: Mapping[str, str] = (evidence_of(trainer, "twins") or dict)()
        before = [self._last_token, *tokens[:-1]]
        self._last_token = tokens[-1]
        return torch.tensor([partners.get(token) == other for token, other in zip(tokens, before, strict=True)])

    def _compare(self, sensor: str, beliefs: Mapping[str, Any], measure: Any, content: Tensor) -> None:
        true = torch.as_tensor(beliefs[TRUE], device=content.device)
        if not len(true):
            return
        fits = measure(content, true)
        for belief in BELIEFS[sensor]:
            if belief not in beliefs:
                continue
            places = torch.as_tensor(beliefs[belief], device=content.device)
            apart = (places - true).abs().flatten(1).amax(1) >= (4.0 if sensor == "lidar" else 6.0)
            gain = fits - measure(content, places)
            use = apart & torch.isfinite(gain)
            if bool(use.any()):
                mean = gain[use].mean()  # of the frame: its objects share a fault
                values = zip(SUMS, (torch.ones_like(mean), mean, mean**2), strict=True)
                self.tally.add({f"{sensor}/{belief}/{key}": value for key, value in values})

    def _judge_live(self, trainer: Trainer, batch: Any) -> None:
        totals = self.tally.read(trainer)
        faults = self._broken(totals) + self._fits_better(totals)[0]
        self.stop_if(trainer, bool(faults), "; ".join(faults), len(faults), tokens=tokens_of(batch))

    def _broken(self, totals: Mapping[str, float]) -> list[str]:
        faults = []
        looked, moving = totals.get("looked", 0.0), totals.get("moving", 0.0)
        for kind in self._kinds():
            whole = moving if kind.startswith("stuck") else looked
            share = totals.get(kind, 0.0) / max(whole, 1.0)
            if whole >= self.min_frames and share > self.max_share:
                faults.append(f"{kind.split(' ', 1)[1]} is {kind.split()[0]} in {share:.0%} of {int(whole)} frames")
        for kind, words in (("doubled", "two cameras show the same"), ("status", "the status is none of a car now")):
            share = totals.get(kind, 0.0) / max(looked, 1.0)
            if looked >= self.min_frames and share > self.max_share:
                faults.append(f"{words} in {share:.0%} of {int(looked)} frames")
        return faults

    def _fits_better(self, totals: Mapping[str, float]) -> tuple[list[str], list[str], list[str]]:
        """(failures, open, ruled out): sentences, and names of beliefs."""
        failed, still_open, ruled_out = [], [], []
        for sensor in SENSORS:
            for belief in BELIEFS[sensor]:
                n = totals.get(f"{sensor}/{belief}/frames", 0.0)
                name = f"{sensor} {belief}"
                if n < self.min_frames:
                    still_open.append(name)
                    continue
                mean = totals[f"{sensor}/{belief}/gain"] / n
                error = math.sqrt(max(totals[f"{sensor}/{belief}/gain_squared"] / n - mean**2, 0.0) / n)
                if mean + 2 * error < 0:
                    failed.append(f"the {sensor} fits better {belief} ({-mean:+.3f} ±{error:.3f} in {int(n)} frames)")
                elif mean - 2 * error > 0:
                    ruled_out.append(name)
                else:
                    still_open.append(name)
        return failed, still_open, ruled_out

    def flush(self) -> None:
        self.tally.read(self.trainer)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        totals = self.tally.read(trainer)
        failed, still_open, ruled_out = self._fits_better(totals)
        faults = self._broken(totals) + failed
        facts: dict[str, Any] = {"ruled_out": ruled_out, "open": still_open, "frames": int(totals.get("looked", 0.0))}
        if twins := int(totals.get(TWINS, 0.0)):
            facts["twins"] = twins
        if faults:
            self.record("fail", "; ".join(faults), len(faults), **facts)
        elif obstacle := self.tally.blind():
            self.record("inconclusive", obstacle, **facts)
        elif not ruled_out:
            text = f"{facts['frames']} frames are alive, but too few show objects to tell where they are seen"
            self.record("inconclusive", text, 0, **facts)
        else:
            rest = f"; not ruled out: {', '.join(still_open)}" if still_open else ""
            text = f"{facts['frames']} frames are alive; {len(ruled_out)} wrong beliefs fit worse{rest}"
            self.record("pass", text, 0, **facts)


def alive(
    camera: Tensor, lidar: Tensor, speed: Tensor, parts: Mapping[str, tuple[float, float]], last: dict[str, Tensor],
    twin: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    """Counters of current frames: camera (B, 3, H, W) and lidar (B, 1, R, C) 0 to 255 or counts, speed (B,) m/s.
    ``last``: what the previous frame of each sensor looked like; it is brought up to date. ``twin`` (B,) bool: frames
    that are declared to be the previous one; they do not count as stuck."""
    width = camera.shape[-1]
    pieces = {name: camera[..., round(a * width) : round(b * width)] for name, (a, b) in parts.items()}
    moving = speed.abs() > 1.0
    counts = {"looked": torch.ones_like(speed), "moving": moving, TWINS: twin & moving}
    signatures = {}
    for name, piece in {**pieces, "lidar": lidar}.items():
        flat = piece.flatten(1)
        counts[f"constant {name}"] = flat.std(1) < (DULL if name != "lidar" else 1e-6)
        signature = F.adaptive_avg_pool2d(piece.mean(1, keepdim=True), (8, 8)).flatten(1)
        before = torch.cat((last.get(name, signature[:1] + 1), signature[:-1]))
        counts[f"stuck {name}"] = (signature == before).all(1) & moving & ~twin
        last[name], signatures[name] = signature[-1:], signature
    names = list(pieces)
    same = [(signatures[a] - signatures[b]).abs().amax(1) < 1e-3 for i, a in enumerate(names) for b in names[i + 1 :]]
    counts["doubled"] = torch.stack(same).any(0) if same else torch.zeros_like(moving)
    return counts


def implausible(status: Tensor, speed: Tensor) -> Tensor:
    """(B,) bool: status (B, 8), command one-hot, velocity (m/s), acceleration (m/s²), is none of a car at that
    speed."""
    command, velocity, acceleration = status[:, :4], status[:, 4:6], status[:, 6:8]
    one = ((command == 0) | (command == 1)).all(1) & (command.sum(1) == 1)
    fits = (velocity.norm(dim=1) - speed.abs()).abs() <= 0.5 + 0.05 * speed.abs()
    return ~(one & fits & (acceleration.norm(dim=1) <= PLAUSIBLE))
