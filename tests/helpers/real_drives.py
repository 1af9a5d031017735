"""Real drives beside the devkit's results for them: what differs in scores, end states and plans."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wotempo.geometry.pose import wrap_angle
from wotempo.maps import read_map
from wotempo.navsim.logs import read_log
from wotempo.navsim.schema import Scene
from wotempo.pdm.agents import constant_velocity_poses, human_poses
from wotempo.pdm.closed.plan import closed_states, plan_closed
from wotempo.pdm.context import SceneContext
from wotempo.pdm.score import SubScores, score
from wotempo.pdm.simulate import STOP_SPEED, simulate
from wotempo.pdm.states import SPEED, Y

DISCRETE = ("nc", "dac", "ttc", "comfort", "ddc")
TOLERANCE = 1e-6  # metres, radians, parts of a score


@dataclass
class Apart:
    """What differs from the devkit, over all scenes so far.

    A proposal *stands still* where the vehicle never reaches STOP_SPEED: the devkit's fit of its curvature is
    ill-conditioned there, so that its end may depend on the machine. Those are counted apart from the others.
    """

    proposals: int = 0
    discrete: int = 0  # proposals with another sub-score, standing ones too
    moving: int = 0  # proposals with another progress or end, of those that move
    still: int = 0
    still_apart: int = 0  # the same, of those that stand still
    progress: float = 0.0  # largest difference of a moving proposal, metres
    end: float = 0.0
    others: list[str] = field(default_factory=list)  # routes, plans, rows of agents: token and what


class RealDrives:
    """The logs and maps of an archive, unpacked into a folder, and the devkit's results for their scenes."""

    def __init__(self, source: Path, anchors: Path, folder: Path) -> None:
        with tarfile.open(source / "data.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        self.root = folder / "data"
        with np.load(source / "official_v11.npz") as file:
            self.official = dict(file)
        self.anchors = np.load(anchors)
        self.columns = self.official["columns"].tolist()

    def __len__(self) -> int:
        return len(self.official["token"])

    def compare(self, rows: Iterable[int]) -> Apart:
        """Of these rows of the results."""
        apart, logs = Apart(), dict[str, dict[str, Scene]]()
        for row in rows:
            name = str(self.official["log"][row])
            if name not in logs:
                log = read_log(self.root / "navsim_logs" / "test" / f"{name}.pkl", "test")
                logs[name] = {frame.token: Scene(log, index) for index, frame in enumerate(log.frames)}
            self._scene(row, logs[name][str(self.official["token"][row])], apart)
        return apart

    def _scene(self, row: int, scene: Scene, apart: Apart) -> None:
        town = read_map(self.root / "maps", scene.current.map_location)
        context = SceneContext.build(scene, town)
        self._proposals(row, context, apart)
        centre = context.centreline[:, :2]
        length = np.hypot(*np.diff(centre, axis=0).T).sum()
        ours = {"centre line": np.array([len(centre), *centre[0], *centre[-1], length]) - self.official["centre"][row]}
        closed = plan_closed(scene, town, context)
        ours["plan"] = closed.plan[:, :3] - self.official["plan"][row]
        ours["plan"][:, 2] = wrap_angle(ours["plan"][:, 2])
        states = {"pdm": closed_states(closed, context)}
        for name, poses in (("human", human_poses(scene)), ("cv", constant_velocity_poses(scene))):
            states[name] = simulate(context.ego, poses[None], start_us=context.start_us)
        # The two-row evaluation: PDM-Closed's own row is that beside constant velocity.
        best = {name: float(score(context, driven).masked_progress[0]) for name, driven in states.items()}
        for name, driven in states.items():
            scores = score(context, driven, best["cv" if name == "pdm" else "pdm"])
            ours[name] = self._row(scores)[0] - self.official[name][row]
        apart.others += [f"{scene.token} {name}" for name, off in ours.items() if np.abs(off).max() > TOLERANCE]

    def _proposals(self, row: int, context: SceneContext, apart: Apart) -> None:
        states = simulate(context.ego, self.anchors, start_us=context.start_us)
        off = np.abs(self._row(score(context, states)) - self.official["anchors"][row])
        end = np.abs(states[:, -1, : Y + 1] - context.ego[: Y + 1] - self.official["final"][row]).max(-1)
        progress = off[:, self.columns.index("progress_raw")]
        differs, still = (progress > TOLERANCE) | (end > TOLERANCE), np.abs(states[..., SPEED]).max(1) < STOP_SPEED
        apart.proposals += len(states)
        apart.discrete += int(off[:, [self.columns.index(name) for name in DISCRETE]].any(-1).sum())
        apart.moving += int((differs & ~still).sum())
        apart.still += int(still.sum())
        apart.still_apart += int((differs & still).sum())
        apart.progress = max(apart.progress, float(progress[~still].max(initial=0)))
        apart.end = max(apart.end, float(end[~still].max(initial=0)))

    def _row(self, scores: SubScores) -> np.ndarray:
        """(N, 8) in the devkit's columns."""
        return np.stack([getattr(scores, name) for name in self.columns], -1)
