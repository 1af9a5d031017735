"""The panels of the wandb dashboard as plain data; a test checks that the metrics they name are logged by runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CRITERIA = ("complete", "checkpoint", "memory", "loss", "finite", "shapes", "history", "ego_motion", "warp_gain",
            "gradient_flow", "budget", "loader", "learning_rate", "splits", "labels", "sensors", "learning",
            "plan", "history_pays")  # fmt: skip
SCORES = ("pdms", "nc", "dac", "ep", "ttc", "comfort", "ade", "fde", "future_vehicle_iou")


@dataclass(frozen=True)
class Panel:
    """``lines`` over steps, ``bars`` of final values, or ``pictures``. ``names``: of metrics, or one regular
    expression (RE2: no lookahead) where they differ from stage to stage."""

    title: str
    kind: Literal["lines", "bars", "pictures"]
    names: tuple[str, ...]
    regex: bool = False
    log: bool = False


@dataclass(frozen=True)
class View:
    """``id``: eleven characters by which a later call finds the view again. ``columns``: of the table of runs.
    ``grouped``: accepted members of ablations only, by data and variant, seeds together as means."""

    id: str
    title: str
    sections: dict[str, tuple[Panel, ...]]
    columns: tuple[str, ...]
    grouped: bool = False


def _each(template: str, *names: object) -> tuple[str, ...]:
    return tuple(template.format(name) for name in names)


def _measured(title: str, criterion: str) -> Panel:
    return Panel(f"{title} (criterion {criterion})", "bars", _each(f"criteria/{criterion}/{{}}", "measured", "limit"))


ACCEPTANCE = (
    Panel("Accepted (1) or not (0)", "bars", ("acceptance/accepted",)),
    Panel("Criteria: passed (1) or failed (0)", "bars", _each("acceptance/{}", *CRITERIA)),
    _measured("Relative decrease of the loss", "loss"),
    _measured("Steps that were not finite", "finite"),
    _measured("Share of history frames that are there", "history"),
    _measured("Share of frame pairs against the ego's speed", "ego_motion"),
)
LEARNING = (
    Panel("Loss", "lines", ("train/loss", "val/loss"), log=True),
    Panel("Reward losses: imitation, its offset, simulation", "lines",
          _each("train/{}", "im_reward", "offset_im_reward", "sim_reward"), log=True),
    Panel("Trajectory and map losses", "lines", _each("train/{}", "traj_offset", "map", "fut_map"), log=True),
    Panel("Reward heads against labels: accuracy", "lines", _each("val/{}_accuracy", "nc", "dac", "ttc", "comfort")),
    Panel("Reward head of progress: mean error", "lines", ("val/ep_mae",)),
    Panel("Displacement in validation, m", "lines", ("val/ade", "val/fde")),
    Panel("BEV map, now and imagined: IoU", "lines", _each("val/{}", "bev_miou", "future_bev_miou",
          "bev_vehicle_iou", "future_bev_vehicle_iou")),
    Panel("Learning rates", "lines", ("lr-.*",), regex=True),
)  # fmt: skip
TEMPORAL = (
    Panel("Share of the gradient that reaches a frame (0: now)", "lines", _each("history/grad_share_{}", *range(4))),
    Panel("Gates of the stage by frame (0: now)", "lines", ("history/[zrifoa]_[0-9]+",), regex=True),
    Panel("What history changes: map, and what is added", "lines", ("history/output_change", "history/residual_norm")),
    Panel("What history changes: plan, m", "lines", ("history/plan_change_m",)),
    _measured("Gain of overlap by the warp", "warp_gain"),
    _measured("Share of history frames that a gradient reaches", "gradient_flow"),
    Panel("LiDAR history before and after the warp", "pictures", ("history_warp",)),
)  # fmt: skip
COST = (
    Panel("Seconds per step, data loading excluded", "lines", ("step_seconds",)),
    Panel("Seconds per step, median", "bars", ("cost/seconds_per_step",)),
    _measured("Peak memory, GB", "memory"),
    _measured("Share of time waiting for data", "loader"),
    Panel("Share of time in the criteria", "bars", ("cost/criteria_share",)),
)
ABLATION = (
    Panel("PDMS on the test split", "bars", ("test/pdms",)),
    Panel("Sub-scores", "bars", _each("test/{}", "nc", "dac", "ep", "ttc", "comfort")),
    Panel("Displacement on the test split, m", "bars", ("test/ade", "test/fde")),
    Panel("Imagined vehicles: IoU", "bars", ("test/future_vehicle_iou",)),
    Panel("Seconds per step, median", "bars", ("cost/seconds_per_step",)),
    Panel("Validation loss", "lines", ("val/loss",), log=True),
)
TWINS = (  # of runs that are scored on twin scenes
    Panel("Pair accuracy", "bars", _each("test/twins/{}", "pair_accuracy", "accuracy_nc", "accuracy_ttc")),
    Panel("Share of the headroom", "bars", ("test/twins/share", "test/twins/chosen_share")),
    Panel("Gain over exchanged plans", "bars", ("test/twins/swap_gain",)),
)
VIEWS = (
    View(
        "wotemporuns",
        "wotempo runs",
        {
            "Acceptance": ACCEPTANCE,
            "Loss and rewards": LEARNING,
            "Temporal evidence": TEMPORAL,
            "Memory and throughput": COST,
            "Scenes": (Panel("Scenes of validation", "pictures", ("scenes",)),),
        },
        ("summary:verdict", "summary:reason", "config:variant", "config:seed", "summary:test/pdms",
         *_each("summary:criteria/{}/status", *CRITERIA)),
    ),
    View(
        "wotempoabla",
        "wotempo ablation, accepted runs",
        {"Ablation": ABLATION, "Twin scenes": TWINS},
        ("config:variant", "summary:verdict", *_each("summary:test/{}", *SCORES), "summary:val/loss",
         "summary:cost/seconds_per_step", "summary:cost/peak_memory_gb", "summary:cost/parameters"),
        grouped=True,
    ),
)  # fmt: skip
