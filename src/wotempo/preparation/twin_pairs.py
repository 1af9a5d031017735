"""The pairs of twins of a split with their scenes, refused by name where they cannot be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wotempo.config.schema import RunConfig
from wotempo.errors import UserError
from wotempo.navsim import DataPaths, Scene
from wotempo.navsim.twins import FILE, Pair, Twins, own_twins
from wotempo.planners.registry import needs_of


@dataclass(frozen=True)
class TwinSplit:
    """``scenes``: of the pairs, by token, in the order of the split. ``num_frames`` as in ``Twins``."""

    split: str
    pairs: tuple[Pair, ...]
    scenes: dict[str, Scene]
    num_frames: int


def twins_of(paths: DataPaths, split: str, scenes: Sequence[Scene]) -> TwinSplit | None:
    """The pairs of "train", "val" or "test", both scenes of each; None where the dataset declares none for the split.

    UserError for a file of another town, and for a pair of which ``scenes`` lacks a member.
    """
    twins = own_twins(paths.root)
    if twins is None or not (pairs := twins.of(split)):
        return None
    known = {scene.token: scene for scene in scenes}
    for pair in pairs:
        if lost := [token for token in pair.tokens if token not in known]:
            raise UserError(
                f"{paths.root / FILE}: pair {pair.name} lost a member, no scene of {split} has the token {lost[0]}: "
                f"generate the town again, or take all its scenes (data.{split}.max_scenes=null, no scene filter)"
            )
    wanted = {token for pair in pairs for token in pair.tokens}
    members = {token: scene for token, scene in known.items() if token in wanted}
    return TwinSplit(split, pairs, members, twins.num_frames)


def require_reach(twins: TwinSplit | Twins, num_frames: int, frame_stride: int) -> None:
    """UserError where a planner of ``num_frames`` frames, ``frame_stride`` apart, sees another history than that in
    which the pairs differ. One frame is no history, and fits all twins."""
    if num_frames not in (1, twins.num_frames) or (num_frames > 1 and frame_stride != 1):
        raise UserError(
            f"the planner sees {num_frames} frames, {frame_stride} apart, and these twins differ in the last "
            f"{twins.num_frames} frames, 1 apart: take one trained with fusion.num_frames={twins.num_frames} (or 1)"
        )


def check_twins(config: RunConfig, paths: DataPaths, scenes: Mapping[str, Sequence[Scene]]) -> None:
    """What a run would find out at its end, where it measures twins: UserError before its first step. ``scenes``: of
    train and val."""
    twins = own_twins(paths.root)
    judged = config.acceptance.get("history_pays", {}).get("policy", "off") != "off"
    if twins is None or not (judged or config.test):
        return
    needs = needs_of(config.planner, config.model, config.fusion)
    require_reach(twins, needs.frames, needs.stride)
    if judged:
        twins_of(paths, "val", scenes["val"])
