"""The golden scene as it is stored in the repository."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stored_scene import SmallMap, make_frame

from wotempo.navsim.schema import Log, Scene


@pytest.fixture(scope="session")
def stored(golden_dir):
    with np.load(golden_dir / "features" / "scene.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def stored_map(stored):
    return SmallMap.from_arrays(stored)


@pytest.fixture(scope="session")
def stored_scene(stored):
    """Boxes only where targets look: in the current frame and 4 s later."""
    ego = {key: stored[key] for key in ("velocity", "acceleration", "command")}
    current = replace(make_frame(0, stored["pose"], stored["boxes"], stored["names"]), **ego)
    ahead = [make_frame(i, pose, np.zeros((0, 7))) for i, pose in enumerate(stored["future_pose"], start=1)]
    ahead[7] = make_frame(8, stored["future_pose"][7], stored["future_boxes"], stored["future_names"])
    return Scene(Log("stored", "golden", [current, *ahead]), index=0)
