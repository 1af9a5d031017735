"""Our planner as an agent of the official NAVSIM devkit, v1.1 and v2, for its evaluation and submission scripts.

The devkit is no dependency of this project: import this module in the devkit's environment (docs/official_agent.md).
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wotempo.batch import Batch
from wotempo.errors import UserError
from wotempo.interop.agent_window import AgentWindow
from wotempo.interop.planner_file import read_planner
from wotempo.navsim import FRAME_PERIOD_S, NUM_HISTORY, STITCHED_CAMERAS
from wotempo.navsim.anchors import NUM_POSES

try:
    from navsim.agents.abstract_agent import AbstractAgent
    from navsim.common.dataclasses import AgentInput, SensorConfig, Trajectory
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling
except ImportError as error:
    raise UserError(
        f"the official NAVSIM devkit cannot be imported ({error}): put its checkout, which is not the package 'navsim' "
        "of PyPI, and nuplan-devkit on the PYTHONPATH and install what they need (docs/official_agent.md)"
    ) from error

if TYPE_CHECKING:
    from wotempo.planners.base import Planner

SAMPLING = TrajectorySampling(num_poses=NUM_POSES, interval_length=FRAME_PERIOD_S)


class WoTEAgent(AbstractAgent):
    """Plans with a checkpoint of this project, or of the official WoTE, on what the devkit hands over."""

    def __init__(
        self,
        checkpoint: str,
        num_history_frames: int = NUM_HISTORY,
        missing_history: str = "error",
        device: str = "cpu",
    ) -> None:
        """``num_history_frames``: frames of an ``AgentInput``, the scene filter's. ``missing_history``: ``error`` or
        ``mask``, see ``AgentWindow``. ``device``: where the model runs."""
        # v2's agents are told how their trajectories are sampled, v1.1's are not.
        known = inspect.signature(AbstractAgent.__init__).parameters
        super().__init__(**({"trajectory_sampling": SAMPLING} if "trajectory_sampling" in known else {}))
        self.checkpoint = Path(checkpoint)
        self.num_history_frames = num_history_frames
        self.missing_history = missing_history
        self.device = device
        self.model: Planner | None = None
        self.window: AgentWindow | None = None

    def name(self) -> str:
        return f"{type(self).__name__}({self.checkpoint.name})"

    def initialize(self) -> None:
        """Reads the checkpoint; once, however often it is called. UserError where it cannot plan here."""
        self._loaded()

    def get_sensor_config(self) -> SensorConfig:
        """The LiDAR and the three front cameras of those frames that the checkpoint looks at, and nothing else. Reads
        the checkpoint: the submission script asks before it initialises."""
        _, window = self._loaded()
        wanted: dict[str, bool | list[int]] = {name.lower(): window.camera_frames for name in STITCHED_CAMERAS}
        none = vars(SensorConfig.build_no_sensors())
        return SensorConfig(**{**none, **wanted, "lidar_pc": window.lidar_frames})

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """8 poses (x, y, heading) every 0.5 s in the current ego frame, float32."""
        model, window = self._loaded()
        moved = {name: value.to(self.device) for name, value in window.batch(agent_input).items()}
        plan = model.plan(cast(Batch, moved))["trajectory"][0].float().cpu().numpy()
        return Trajectory(plan, SAMPLING)

    def _loaded(self) -> tuple[Planner, AgentWindow]:
        if self.model is None or self.window is None:
            model = read_planner(self.checkpoint)
            name = str(self.checkpoint)
            self.window = AgentWindow.of(model, self.num_history_frames, self.missing_history, name)
            self.model = model.to(self.device)
        return self.model.eval(), self.window
