"""Sizes and mode of a WoTE. Plain values only, so that a checkpoint holds them as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

from wotempo.configs import values
from wotempo.errors import UserError
from wotempo.fusion import POINTS
from wotempo.geometry import LIDAR_HISTOGRAM, SEMANTIC_FRONT, BevGrid
from wotempo.planners.backbone.batch_norm import KINDS

# The planner of checkpoints and run folders from before there were others.
OLDEST: str = values("older/keys")["planner"]
MODES = ("compat", "fixed")
HISTORY_SENSORS = ("both", "lidar")
INITS = ("published", "kaiming")
# Where a fusion stage may sit: after which stage of the LiDAR ResNet. bev8 is the backbone's output, which has taken in
# the camera for the last time; finer levels blur less and cost as much (docs: geometry).
LEVELS = {"bev8": 4, "lidar3": 3, "lidar2": 2}
ALL_LEVELS = (*LEVELS, POINTS)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes, mode and savings of a model; the values are those of configs/model.

    ``mode``: ``compat`` keeps WoTE's splat and its stretched map head, so that official weights give official numbers;
    ``fixed`` puts both on the grid that the backbone's map really covers (docs: geometry).
    """

    mode: str
    # inputs
    image_height: int
    image_width: int
    lidar_shape: tuple[int, ...]
    lidar_max: int  # counts at which the histogram is clipped
    status_size: int
    num_poses: int
    # backbone: two ResNets of BasicBlocks
    stage_blocks: tuple[int, ...]
    stage_channels: tuple[int, ...]
    stem_channels: int
    zero_init_last: bool  # residual blocks start as the identity; a few hundred steps are too few to leave it
    image_tokens: tuple[int, ...]
    bev_shape: tuple[int, ...]
    gpt_layers: int
    gpt_heads: int
    # planner
    num_anchors: int
    d_model: int
    heads: int
    encoder_layers: int  # trajectory encoder and world model
    encoder_ffn: int
    decoder_layers: int  # offset and agent decoders
    decoder_ffn: int
    dropout: float
    # Of the samples of a training batch, so many plan without seeing the scene, and so many cells are hidden from the
    # others: where windows are few a planner learns its images by heart before it learns to use the ego's state.
    scene_dropout: float
    cell_dropout: float
    future_steps: int
    reward_weights: tuple[float, ...]  # of ln im, ln NC, ln DAC, ln(5 TTC + 2 C + 5 EP)
    # Which trajectories are evaluated to choose the plan: the refined ones, as published, or the anchors, which are all
    # that training shows to the reward heads: with few anchors the refined ones are far from anything they know.
    evaluate_refined: bool
    # Whether the plan is the chosen trajectory refined, as published, or as it was evaluated.
    drive_refined: bool
    # The sub-scores of a trajectory also read what lies along it: agents that a head of its own forecasts (NC, TTC) and
    # the road of the semantic map (DAC). False: as published.
    path_scores: bool
    # heads
    # How the stacks that embed and score trajectories begin: published (PyTorch's own, which shrinks what passes a
    # layer to two fifths: six of them hardly tell anchors apart at first) or kaiming (He et al. 2015: size is kept).
    head_init: str
    channels_last: bool  # how weights and maps lie in memory: the same values, but for rounding
    map_channels: int
    map_feature_shape: tuple[int, ...]  # the raster, over the backbone's extent, that the map head works on
    map_shape: tuple[int, ...]
    num_bev_classes: int
    num_agents: int
    # How many history frames of a window pass gradient to the encoder: null all, 0 none, k the last k. Frames that are
    # the current one of no window are then encoded without gradient, normalised by batch statistics of their own.
    history_grad: int | None
    # What history is encoded from: both | lidar. lidar: no camera branch for frames of the past, and LiDAR tokens alone
    # in the exchange. A frame that is one window's current and another's history is then encoded both ways.
    history_sensors: str
    batch_norm: str  # of the frame encoder in training: batch | weighted | frozen, see model.batch_norm
    # The frame encoder stays as it is (init_from): its maps are computed once per frame and cached, and only what lies
    # behind is trained.
    frozen_backbone: bool
    activation_checkpointing: bool  # backbone, world model and reward: less memory for one more forward pass
    agent_head: bool  # its loss weighs nothing by default: the parameters exist, frozen, and are not run

    def __post_init__(self) -> None:
        for field in fields(self):  # yaml and json give lists
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        choices = {"mode": MODES, "head_init": INITS, "batch_norm": KINDS, "history_sensors": HISTORY_SENSORS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise UserError(f"model.{name} is '{getattr(self, name)}'; set it to one of {', '.join(known)}")
        if any(channels % 16 for channels in (self.stem_channels, *self.stage_channels)):
            # With 8 channels the strided 1×1 convolution's backward writes outside its memory (oneDNN, AVX-512).
            raise UserError(f"model.stage_channels are {self.stage_channels}; set them and the stem to multiples of 16")
        if self.future_steps < 1 or self.num_poses % self.future_steps:
            raise UserError(
                f"model.future_steps is {self.future_steps}, which does not divide the {self.num_poses} poses of a "
                "trajectory; set it to 1, 2, 4 or 8"
            )
        for name in ("dropout", "scene_dropout", "cell_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"model.{name} is {getattr(self, name)}; set it to a share from 0 to below 1")
        if self.history_grad is not None and self.history_grad < 0:
            raise UserError(f"model.history_grad is {self.history_grad}; set it to null (all frames), 0, 1, 2, …")
        if self.history_sensors == "lidar" and self.history_grad is not None and self.batch_norm != "frozen":
            # In a pass of their own such frames would be normalised by statistics that driving never uses.
            raise UserError(
                f"model.history_sensors=lidar with model.history_grad={self.history_grad} needs model.batch_norm="
                f"frozen, and it is '{self.batch_norm}': set that, or history_grad=null"
            )
        if self.heads < 1 or self.d_model % self.heads:
            raise UserError(f"model.heads is {self.heads}, which does not divide model.d_model={self.d_model}")
        if len(self.reward_weights) != 4:
            raise UserError(f"model.reward_weights are {self.reward_weights}; give four: im, NC, DAC, TTC·C·EP")

    @property
    def bev_grid(self) -> BevGrid:
        """What the backbone's map, and with it the fusion stage, covers."""
        return LIDAR_HISTOGRAM.with_shape(*self.bev_shape)

    def level(self, name: str) -> tuple[int, BevGrid]:
        """Channels and raster of the map after that LiDAR stage: 8×8×512, 16×16×256 or 32×32×128 at full size.
        At ``points`` the LiDAR input itself. UserError for an unknown level."""
        if name == POINTS:
            return 1, self.lidar_grid
        if name not in LEVELS:
            known = ", ".join(ALL_LEVELS)
            raise UserError(f"fusion.level is '{name}', but the backbone offers {known}: set one of them")
        if name == "bev8":
            return self.bev_channels, self.bev_grid
        stage = LEVELS[name]
        shrinks = 2 ** (stage + 1)  # stem and pooling by 4, each stage but the first by 2
        rows, cols = (-(-cells // shrinks) for cells in self.lidar_shape)
        return self.stage_channels[stage - 1], LIDAR_HISTOGRAM.with_shape(rows, cols)

    @property
    def lidar_grid(self) -> BevGrid:
        return LIDAR_HISTOGRAM.with_shape(*self.lidar_shape)

    @property
    def map_grid(self) -> BevGrid:
        """The raster of the semantic map."""
        return SEMANTIC_FRONT.with_shape(*self.map_shape)

    @property
    def bev_channels(self) -> int:
        """Channels of the backbone's map: what the fusion stage is built with."""
        return self.stage_channels[-1]

    @property
    def forecast_grid(self) -> BevGrid:
        """The raster, over the backbone's extent, whose cells forecast agents: 2 m each."""
        rows, cols = self.bev_shape
        return LIDAR_HISTOGRAM.with_shape(4 * rows, 4 * cols)

    @property
    def cells(self) -> int:
        """Of the BEV map: the length of its token sequence."""
        return self.bev_shape[0] * self.bev_shape[1]

    def to_dict(self) -> dict[str, Any]:
        """Plain data; ``ModelConfig(**plain)`` is the inverse."""
        return asdict(self)


@cache
def sizes(model: str) -> ModelConfig:
    """The model of configs/model with that name: ``wote``, at its published size, or ``wote_tiny``."""
    return ModelConfig(**values(f"model/{model}")["model"])
