"""The one description of a batch: every field with its shape, dtype, meaning, and when a batch has it.

It stands beside the rooms, and not in ``data``, because planners and training read batches and know nothing of
datasets. Letters in shapes: B windows, T frames each (oldest first, the current one last), F unique frames of all
windows of the batch, N anchors, S anchors whose future is shown; H × W pixels of the camera, R × C cells of the LiDAR
histogram, P × Q of the semantic map, D channels of U × V cells of a frozen encoder. Rows of cells run with x ascending,
columns with y. "Now" is the current frame: its axes are x forward, y left (m) from the rear axle, heading
counter-clockwise (rad).

A history frame that is missing is not ``valid``, points at its window's current frame, and has zeros elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypedDict, get_type_hints

from torch import Tensor

# ``images``: unless the maps of a frozen encoder come in their place (``frozen maps``). ``lidar_stack``: the fusion
# stage takes LiDAR histories. ``motion``: an oracle control asks for velocities. ``targets``: in supervised splits, and
# there ``futures``, ``anchors`` and ``labels`` for planners that need them (``WindowNeeds``).
When = Literal["always", "images", "frozen maps", "lidar_stack", "motion", "targets", "futures", "anchors", "labels"]


class Field(NamedTuple):
    """``layout``: dimensions and dtype of a tensor in the grammar of the shape contract; of a list, what it holds."""

    layout: str
    when: When


class Batch(TypedDict, total=False):
    """What ``WindowCollator`` makes of items, and models, losses, metrics and criteria read."""

    camera: Annotated[Tensor, Field("F 3 H W uint8", "images")]  # three front cameras side by side, RGB, 0 to 255
    lidar: Annotated[Tensor, Field("F 1 R C uint8", "always")]  # points per cell above the ground, clipped
    bev: Annotated[Tensor, Field("F D U V float32", "frozen maps")]  # what a frozen encoder makes of a frame
    frame_index: Annotated[Tensor, Field("B T int64", "always")]  # which of the F frames stands at each place
    # frame_index as plain numbers, -1 where a frame is missing: it stays on the host, so that no model waits for the
    # GPU to tell which frames it must encode.
    frame_rows: Annotated[list[list[int]], Field("B T numbers", "always")]
    valid: Annotated[Tensor, Field("B T bool", "always")]  # False where a frame is missing
    pose: Annotated[Tensor, Field("B T 3 float32", "always")]  # x, y (m), heading (rad) of each frame now
    dt: Annotated[Tensor, Field("B T float32", "always")]  # seconds before now, at least 0
    timestamp_us: Annotated[Tensor, Field("B T int64", "always")]  # the log's own time, microseconds
    speed: Annotated[Tensor, Field("B T float32", "always")]  # of the ego at each frame, m/s
    # Command one-hot (left, forward, right, unknown), velocity x, y (m/s), acceleration x, y (m/s²), now.
    status: Annotated[Tensor, Field("B 8 float32", "always")]
    tokens: Annotated[list[str], Field("B names", "always")]  # of the scenes
    frame_tokens: Annotated[list[list[str | None]], Field("B T names", "always")]  # of the frames; None where missing
    # As lidar, each frame's points moved to the axes of now; and, as pose, what they were moved by.
    lidar_stack: Annotated[Tensor, Field("B T 1 R C uint8", "lidar_stack")]
    lidar_stack_pose: Annotated[Tensor, Field("B T 3 float32", "lidar_stack")]
    # Nearest agents now: x, y (m), own velocity x, y (m/s), 1.
    agent_motion: Annotated[Tensor, Field("B 64 5 float32", "motion")]
    # The human's next 4 s, every 0.5 s, now: x, y (m), heading (rad).
    trajectory: Annotated[Tensor, Field("B 8 3 float32", "targets")]
    imitation: Annotated[Tensor, Field("B bool", "targets")]  # False where no expert drove the trajectory
    # Nearest vehicles now: x, y (m), heading (rad), length, width (m); and which of them there are.
    agent_states: Annotated[Tensor, Field("B 30 5 float32", "targets")]
    agent_labels: Annotated[Tensor, Field("B 30 bool", "targets")]
    # Nearest agents now: x, y (m), heading (rad), length, width (m); and each half second of the next 4 s x, y (m), 1.
    agent_future: Annotated[Tensor, Field("B 64 29 float32", "futures")]
    bev_map: Annotated[Tensor, Field("B P Q uint8", "targets")]  # ``BevClass`` of each cell now
    sampled_anchor: Annotated[Tensor, Field("B S int64", "anchors")]  # into the N anchors
    # ``BevClass`` in 4 s, axes of now, the ego at the anchor's end.
    future_map: Annotated[Tensor, Field("B S P Q uint8", "anchors")]
    # PDM sub-scores, 0 to 1, in the order of ``navsim.METRICS``.
    sim_reward: Annotated[Tensor, Field("B 5 N float32", "labels")]


_HINTS = get_type_hints(Batch, include_extras=True)
SUPERVISION = frozenset(
    n for n, hint in _HINTS.items() if hint.__metadata__[0].when in ("targets", "futures", "anchors", "labels")
)
"""Fields that only supervised splits have."""
