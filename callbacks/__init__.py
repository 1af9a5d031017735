"""Acceptance criteria for a training run, as Lightning callbacks: copy this folder into any Lightning project.

It imports torch, lightning and the standard library only. Its rooms import one way (held by a test):

    base        what every criterion is built on: ``Guard``, the protocol of batch and module, plain data
    measures    what criteria measure with: trends, overlaps, shape contracts, the re-run of a step; imports base
    criteria    one criterion a file, none imports another; imports base, measures
    forensics   the record of a failing step, its diagnosis, and its replay; imports base, measures, criteria
    verdict     one verdict and one exit code for the run: ``AcceptanceReport``, the card; imports base

``AcceptanceReport`` finds every ``Guard`` among the trainer's callbacks by itself.
"""

from callbacks.base.guard import AcceptanceError, Guard, agree
from callbacks.criteria.budget import BudgetGuard
from callbacks.criteria.checkpoint import CheckpointGuard
from callbacks.criteria.complete import CompleteGuard
from callbacks.criteria.ego_motion import EgoMotionGuard
from callbacks.criteria.finite import FiniteGuard
from callbacks.criteria.gradient_flow import GradientFlowGuard
from callbacks.criteria.history import HistoryGuard
from callbacks.criteria.history_pays import HistoryPaysGuard
from callbacks.criteria.labels import LabelsGuard
from callbacks.criteria.learning import LearningGuard
from callbacks.criteria.learning_rate import LearningRateGuard
from callbacks.criteria.loader import LoaderGuard
from callbacks.criteria.loss import LossGuard
from callbacks.criteria.memory import MemoryGuard
from callbacks.criteria.plan import PlanGuard
from callbacks.criteria.sensors import SensorsGuard
from callbacks.criteria.shapes import ShapeGuard
from callbacks.criteria.splits import SplitsGuard
from callbacks.criteria.warp_gain import WarpGainGuard
from callbacks.forensics.recorder import FailureRecorder
from callbacks.forensics.reenact import Outcome, Record, reenact
from callbacks.verdict.report import AcceptanceReport, Preempted, exit_code_of

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
    "HistoryPaysGuard",
    "LabelsGuard",
    "LearningGuard",
    "LearningRateGuard",
    "LoaderGuard",
    "LossGuard",
    "MemoryGuard",
    "Outcome",
    "PlanGuard",
    "Preempted",
    "Record",
    "SensorsGuard",
    "ShapeGuard",
    "SplitsGuard",
    "WarpGainGuard",
    "agree",
    "exit_code_of",
    "reenact",
]
