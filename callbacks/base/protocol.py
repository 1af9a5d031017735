"""The protocol by which criteria read a run: fields of the batch by name, optional attributes of the LightningModule.

The batch is a mapping; ``BATCH_FIELDS`` names what is read of it. A criterion that lacks a field or an attribute is
inconclusive and says what is missing; nothing is guessed.

LightningModule: see ``AcceptedModule``; every attribute is optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

# F unique frames of the batch, B samples, T frames each: oldest first, the current one last.
BATCH_FIELDS: Mapping[str, str] = {
    "camera": "F 3 H W uint8",  # sensor content of each unique frame
    "lidar": "F 1 R C uint8",  # likewise; cells that are not zero are occupied
    "frame_index": "B T int64",  # which unique frame stands at each place
    "valid": "B T bool",  # False where history is missing
    "pose": "B T 3 float32",  # x forward, y left (m), heading (rad) of each frame in the current one
    "dt": "B T float32",  # seconds before the current frame, at least 0
    "timestamp_us": "B T int64",
    "speed": "B T float32",  # of the ego itself at each frame, m/s
    "tokens": "B names",  # of the samples, for messages only
}


class AcceptedModule(Protocol):
    """What a LightningModule may offer. The checks measure what these return and never re-compute it."""

    is_temporal: bool
    """Does the run use history? False or absent: the four criteria about history are ``skipped: single frame``."""

    num_frames: int
    """Frames per sample, the current one included."""

    unjudged: Mapping[str, str]
    """Criteria that an experiment breaks on purpose, by name, and why (a control without alignment has no warp gain).
    They are skipped with that reason in the verdict: neither a failure nor a hidden pass."""

    raw_history: bool
    """True where the fusion stage works on raw inputs: ``gradient_flow`` then expects no encoder before it."""

    loss_terms: Mapping[str, Tensor]
    """The named, unscaled loss terms of the latest ``training_step`` (scalars; detached or not)."""

    temporal_fusion: nn.Module
    """The fusion stage. It is called as a module, and its first argument (or the keyword ``bev``) is the gathered
    BEV tensor (B, T, C, H, W); gradient is measured there. One that leaves out frames at random in training says which
    it used: its attribute ``kept`` (B, T) bool of the latest call."""

    validated: Mapping[str, Tensor]
    """Of the latest ``validation_step``: ``plan`` (B, P, 3) that was chosen, and ``expert`` (B, P, 3) where the scenes
    have a future; x, y (m), heading (rad) at even times, in ego axes. Without it no plan is judged."""

    fixed_plans: Tensor | None
    """(N, P, 3), plans that look at no scene, among which the best one is a driver to beat."""

    def drive(self, batch: Any) -> Tensor:
        """The plan (B, P, 3) as a car would compute it, for any batch."""

    frozen: Mapping[str, str]
    """What is not trained on purpose: names of parameters, or of modules, from the LightningModule on -> why."""

    def terms_of(self, batch: Any) -> Mapping[str, Tensor]:
        """The loss terms of a batch with the factors that the run began with, as ``training_step`` computes them in the
        module's present mode; nothing is logged."""

    def rebuild(self, checkpoint: Mapping[str, Any]) -> nn.Module:
        """A new module from the content of a checkpoint alone (a class method will do): what a later program would do.
        With it, the checkpoint criterion also finds state that the file lacks."""

    def shape_contract(self, split: str) -> Mapping[str, str]:
        """Named dimensions for ``split`` "train" or "val", as ``{place: "B T 3 float32"}``.

        Places: ``batch.lidar`` (a field of the batch), ``model.fusion:in.0`` / ``:in.bev`` (an argument of that
        submodule by position or keyword), ``model.fusion:out`` / ``model:out.trajectory`` (what it returns, or an
        entry of it; dots go deeper). A dimension is a number or a name; a name has one size over the whole contract.
        A dtype may follow: a torch name, or ``float`` for any floating point type.
        """

    def warp_history(self, maps: Tensor, batch: Any) -> tuple[Tensor, Tensor] | None:
        """What the stage itself does to align history: ``maps`` (B, T, 1, R, C) float, in each frame's own axes ->
        (warped (B, T, 1, r, c) in the current axes, mask (B, T, 1, r, c) bool of the cells really seen). The poses are
        those of ``batch`` (also probed with falsified ones). None: the stage does not align."""


class Evidence(Protocol):
    """What the data of a run may offer, as the attribute ``evidence`` of its data module; every method is optional.

    Plans are (S, P, 3) lists or arrays, x, y (m), heading (rad) in ego axes; scenes are named by their tokens.
    """

    def simple_drivers(self, tokens: Sequence[str], wanted: Sequence[str]) -> Mapping[str, Any]:
        """Drivers without a model that sees the sensors: name -> plans of ``tokens``. All cheap ones, and of the others
        those that are ``wanted``."""

    def score(self, plans: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Sequence[float]]:
        """driver -> token -> plan (P, 3), the same tokens of each, -> driver -> scores in [0, 1], one for each token
        that can be scored, higher is better."""

    def splits(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """split ("train", "val", …) -> ``tokens`` of its scenes, where they are known, and ``logs``."""

    def targets(self, count: int) -> Mapping[str, Any]:
        """Of ``count`` scenes of the run: ``scenes`` how many; ``expert_apart`` tokens of those whose future is not
        that of their log; ``on_road`` share of the log's poses on roads of the map. With labels: ``flat``,
        ``worthless`` shares of scenes whose plans all have one label, or none is worth anything; ``rescored`` how many
        rows were made anew, ``rows_apart`` tokens of those that differ; ``scorer`` versions of the table and of now."""

    def camera_parts(self) -> Mapping[str, Sequence[float]]:
        """ "left camera", "front camera", "right camera" -> first and last column of its part of the batch's picture,
        in terms of the width."""

    def beliefs(self, token: str) -> Mapping[str, Mapping[str, Any]]:
        """Where the scene's objects are seen: ``lidar`` belief -> (n, K, 2) rows and columns in the LiDAR map,
        ``camera`` belief -> (n, 4) left, top, right, bottom pixel. NaN where an object is not seen. Beliefs: *as
        annotated*, and wrong ones (callbacks.criteria.sensors)."""

    def twins(self) -> Mapping[str, str]:
        """Scene -> the scene that is declared to have the same current frame, both ways; empty where there are none."""

    def fixed_batches(self, count: int) -> Sequence[Any]:
        """The same ``count`` batches of training scenes whenever a run asks, on the host."""

    def future(self, token: str) -> Any:
        """The expert's poses (P, 3) by the scene's log."""

    def twins(self, module: Any) -> Mapping[str, Any] | None:
        """What the module, as it is in memory, makes of the pairs of validation scenes that only their history tells
        apart: ``pairs``, ``districts`` counts; ``pair_accuracy``, ``swap_gain``, ``share`` each (figure, low, high),
        the interval over districts, NaN where there is none; ``kinds`` kind -> the same figures. None where there are
        no such pairs."""

    def label_row(self, token: str) -> Any:
        """The scene's row (5, N) of the label table; None where there is none."""


def evidence_of(trainer: Any, method: str) -> Any:
    """That method of the data's ``Evidence``; None where it has none."""
    return getattr(getattr(trainer.datamodule, "evidence", None), method, None)


def is_temporal(pl_module: Any) -> bool:
    return bool(getattr(pl_module, "is_temporal", False))


def unjudged(pl_module: Any) -> dict[str, str]:
    """Criterion -> why an experiment breaks it on purpose."""
    return dict(getattr(pl_module, "unjudged", None) or {})


def loss_terms(pl_module: Any) -> dict[str, Tensor]:
    """The latest loss terms, detached; empty where the module offers none."""
    return {name: term.detach() for name, term in dict(getattr(pl_module, "loss_terms", None) or {}).items()}


def missing_fields(batch: Any, names: tuple[str, ...]) -> str:
    """A sentence naming what the batch lacks, or an empty string."""
    if not isinstance(batch, Mapping):
        return f"the batch is a {type(batch).__name__}, not a mapping with fields {', '.join(names)}"
    absent = [name for name in names if name not in batch]
    return f"the batch has no field {', '.join(absent)}" if absent else ""


def tokens_of(batch: Any) -> list[str]:
    """Names of the samples, where the batch has any."""
    return [str(token) for token in batch["tokens"]] if isinstance(batch, Mapping) and "tokens" in batch else []
