"""Temporal fusion stages: modules that fuse the BEV maps of a window into one.

To add a stage: one file ``<name>.py`` here with a ``TemporalFusion``, and one ``configs/fusion/<name>.yaml`` whose keys
are ``name`` and the constructor's keywords, with their values (docs/adding_a_fusion_stage.md). ``STAGES`` and the
property tests find it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from wotempo.configs import values
from wotempo.errors import UserError, kinds_wanted, nearest
from wotempo.found_by_file import found_by_file
from wotempo.fusion.base import POINTS, RingBuffer, TemporalFusion
from wotempo.fusion.controls.controls import CONTROLS, ControlledFusion
from wotempo.fusion.controls.frame_dropout import FrameDropout
from wotempo.fusion.controls.oracle_velocity import OracleVelocity
from wotempo.fusion.controls.single_frame_wide import SingleFrameWide
from wotempo.geometry import BevGrid


def _is_stage(kind: type) -> bool:
    """Whether it is built from ``(channels, grid, …)``: controls and dropout of frames wrap stages and are none."""
    return issubclass(kind, TemporalFusion) and next(iter(inspect.signature(kind).parameters), "") == "channels"


STAGES: dict[str, type[TemporalFusion]] = found_by_file(__name__, _is_stage, "stages")
ORACLES = ("oracle_velocity", "oracle_position")
SHARED = ("level", "frame_stride", "control", "frame_dropout")  # options that are no keywords of a constructor
OF_POSES = ("no_warp", "wrong_pose", "pose_only")  # controls that mean something to a stage that warps


def options_of(fusion: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a stage: those of ``fusion``, over those of the yaml of its name in configs/fusion. ``num_frames``
    and ``level`` may be None there, too. UserError for an unknown name."""
    if (name := fusion.get("name", "")) not in STAGES:
        hint = f"{nearest(name, STAGES, cutoff=0.0)} Known: {', '.join(STAGES)}"
        raise UserError(f"fusion.name is '{name}', which is no fusion stage: {hint}")
    given = {key: value for key, value in fusion.items() if value is not None or key not in ("num_frames", "level")}
    return {**values("fusion/base/window"), **values(f"fusion/{name}"), **given}


def level_of(fusion: Mapping[str, Any]) -> str:
    """Where in the backbone the stage of these options sits."""
    return options_of(fusion)["level"]


def can_sit(fusion: Mapping[str, Any], level: str) -> bool:
    """Whether a stage of these options can sit at ``level``: ``points`` is for those that take points, and for them
    alone."""
    stage = STAGES.get(fusion.get("name", ""), TemporalFusion)
    return (stage.level == POINTS) == (level == POINTS)


def build_fusion(
    name: str, channels: int, grid: BevGrid, num_frames: int | None = None, **given: Any
) -> TemporalFusion:
    """The stage ``name`` for maps of ``channels`` on ``grid`` and windows of ``num_frames`` frames, the current one
    included. ``given``: further keys of its yaml; those that are not given have the yaml's values.

    ``control`` (None | single_frame_wide | one of ``ORACLES`` | one of ``CONTROLS``) and ``frame_dropout`` alter what
    the stage is given; ``level`` says where in the backbone the maps come from; ``frame_stride`` how many frames of the
    log lie from one frame of a window to the next; all others are keywords of the stage's constructor. UserError for an
    unknown name, option or value."""
    options = options_of({"name": name, "num_frames": num_frames, **given})
    level, frame_stride, control, frame_dropout = (options.pop(key) for key in SHARED)
    stage = _plain(channels, grid, **options)
    if names := kinds_wanted(frame_dropout, float):
        raise UserError(f"fusion.frame_dropout is {frame_dropout!r}, and it takes {names}: set such a value")
    if type(frame_stride) is not int or frame_stride < 1:
        raise UserError(f"fusion.frame_stride is {frame_stride!r}: set a whole number, 1 for every frame of the log")
    if frame_stride > 1 and stage.num_frames == 1:
        raise UserError(f"fusion.frame_stride is {frame_stride}, but fusion.num_frames is 1: no history to stride over")
    if not can_sit({"name": name}, level):
        raise UserError(
            f"fusion.level is '{level}', but the stage '{name}' works at {stage.level}: set fusion.level to it"
        )
    stage.level, stage.frame_stride = level, frame_stride
    if control is not None:
        known = ["single_frame_wide", *ORACLES, *CONTROLS]
        if control not in known:
            hint = nearest(control, known, cutoff=0.0)
            raise UserError(f"fusion.control is '{control}', which is no control: {hint}")
        if stage.num_frames == 1 and control not in ORACLES:
            raise UserError(f"fusion.control is '{control}', but fusion.num_frames is 1: no history to control")
        if stage.level == POINTS and control in OF_POSES:
            raise UserError(
                f"fusion.control is '{control}', which alters poses, but the stage '{name}' is given points that "
                "were moved before: set another control, or another stage"
            )
        if control == "single_frame_wide":
            stage = SingleFrameWide(stage)
        elif control not in ORACLES:
            stage = ControlledFusion(stage, control)
    if frame_dropout and stage.num_frames == 1:
        raise UserError(f"fusion.frame_dropout is {frame_dropout}, but fusion.num_frames is 1: no history to drop")
    if frame_dropout:
        stage = FrameDropout(stage, frame_dropout)
    return OracleVelocity(stage, velocities=control == "oracle_velocity") if control in ORACLES else stage


def _plain(channels: int, grid: BevGrid, name: str, **options: Any) -> TemporalFusion:
    """The stage itself, from its constructor's keywords."""
    stage = STAGES[name]
    known = [key for key in inspect.signature(stage).parameters if key not in ("channels", "grid")]
    for key in options:
        if key not in known:
            raise UserError(f"fusion.{key} is no option of the stage '{name}': {nearest(key, known, cutoff=0.0)}")
    hints = get_type_hints(stage.__init__)
    for key, value in options.items():
        if names := kinds_wanted(value, hints[key]):
            raise UserError(f"fusion.{key} is {value!r}, but the stage '{name}' takes {names}: set such a value")
    return stage(channels, grid, **options)


__all__ = [
    "POINTS",
    "STAGES",
    "RingBuffer",
    "TemporalFusion",
    "build_fusion",
    "can_sit",
    "level_of",
]
