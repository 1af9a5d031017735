"""A stage in a wrapper that alters the window before the stage gets it."""

from __future__ import annotations

from torch import Tensor, nn

from wotempo.fusion.base import TemporalFusion
from wotempo.geometry import BevGrid

WRAPPED = "stage."


class AlteredFusion(TemporalFusion):
    """``stage`` on ``altered`` windows. ``warp_history`` too returns what the stage makes of the altered window.

    The state-dict keys are those of the stage itself: a trained stage can be looked at under a control, and back.
    """

    def __init__(self, stage: TemporalFusion) -> None:
        super().__init__(stage.channels, stage.grid, stage.num_frames, stage.renormalise)
        self.stage = stage
        self.level, self.frame_stride = stage.level, stage.frame_stride
        self.register_state_dict_post_hook(_without_wrapper)
        self.register_load_state_dict_pre_hook(_with_wrapper)

    def altered(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The arguments of ``forward``, of the same shapes; here as they are. ``bev`` may have any number of channels
        and cells."""
        return bev, pose, dt, valid

    def forward(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> Tensor:
        """See ``TemporalFusion``."""
        return self.stage(*self.altered(bev, pose, dt, valid))

    def gate_values(self, bev: Tensor, pose: Tensor, dt: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """See ``TemporalFusion``."""
        return self.stage.gate_values(*self.altered(bev, pose, dt, valid))

    def warp_history(
        self, bev: Tensor, pose: Tensor, valid: Tensor, grid: BevGrid | None = None
    ) -> tuple[Tensor, Tensor]:
        """See ``TemporalFusion``."""
        bev, pose, _, valid = self.altered(bev, pose, pose.new_zeros(valid.shape), valid)
        return self.stage.warp_history(bev, pose, valid, grid)


def _without_wrapper(module: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
    for key in [key for key in state if key.startswith(prefix + WRAPPED)]:
        state[prefix + key[len(prefix + WRAPPED) :]] = state.pop(key)


def _with_wrapper(module: nn.Module, state: dict, prefix: str, *others: object) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + WRAPPED + key[len(prefix) :]] = state.pop(key)
