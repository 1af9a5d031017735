"""Acceptance criteria for a training run, as Lightning callbacks: imports only torch, lightning and the stdlib."""

from callbacks.checkpoint import CheckpointGuard
from callbacks.complete import CompleteGuard
from callbacks.ego_motion import EgoMotionGuard
from callbacks.finite import FiniteGuard
from callbacks.gradient_flow import GradientFlowGuard
from callbacks.guard import AcceptanceError, Guard, agree
from callbacks.history import HistoryGuard
from callbacks.loss import LossGuard
from callbacks.memory import MemoryGuard
from callbacks.recorder import FailureRecorder
from callbacks.reenact import Outcome, Record, reenact
from callbacks.report import AcceptanceReport, exit_code_of
from callbacks.shapes import ShapeGuard
from callbacks.warp_gain import WarpGainGuard

__all__ = [
    "AcceptanceError",
    "AcceptanceReport",
    "CheckpointGuard",
    "CompleteGuard",
    "EgoMotionGuard",
    "FailureRecorder",
    "FiniteGuard",
    "GradientFlowGuard",
    "Guard",
    "HistoryGuard",
    "LossGuard",
    "MemoryGuard",
    "Outcome",
    "Record",
    "ShapeGuard",
    "WarpGainGuard",
    "agree",
    "exit_code_of",
    "reenact",
]
