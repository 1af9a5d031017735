"""Acceptance criteria for a training run, as Lightning callbacks: imports only torch, lightning and the stdlib."""

from callbacks.budget import BudgetGuard
from callbacks.checkpoint import CheckpointGuard
from callbacks.complete import CompleteGuard
from callbacks.ego_motion import EgoMotionGuard
from callbacks.finite import FiniteGuard
from callbacks.gradient_flow import GradientFlowGuard
from callbacks.guard import AcceptanceError, Guard, agree
from callbacks.history import HistoryGuard
from callbacks.learning_rate import LearningRateGuard
from callbacks.loader import LoaderGuard
from callbacks.loss import LossGuard
from callbacks.memory import MemoryGuard
from callbacks.recorder import FailureRecorder
from callbacks.reenact import Outcome, Record, reenact
from callbacks.report import AcceptanceReport, Preempted, exit_code_of
from callbacks.shapes import ShapeGuard
from callbacks.warp_gain import WarpGainGuard

__all__ = [
    "AcceptanceError",
    "AcceptanceReport",
    "BudgetGuard",
    "CheckpointGuard",
    "CompleteGuard",
    "EgoMotionGuard",
    "FailureRecorder",
    "FiniteGuard",
    "GradientFlowGuard",
    "Guard",
    "HistoryGuard",
    "LearningRateGuard",
    "LoaderGuard",
    "LossGuard",
    "MemoryGuard",
    "Outcome",
    "Preempted",
    "Record",
    "ShapeGuard",
    "WarpGainGuard",
    "agree",
    "exit_code_of",
    "reenact",
]
