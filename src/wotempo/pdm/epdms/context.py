"""The context of a scene that EPDMS needs beyond the v1.1 score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from wotempo.maps import MapIndex
from wotempo.navsim.per_scene import SceneError
from wotempo.navsim.schema import NUM_HISTORY, Scene
from wotempo.pdm.context import SceneContext
from wotempo.pdm.epdms.history import history_states
from wotempo.pdm.epdms.traffic_lights import RedLights, red_lights
from wotempo.pdm.objects import STEPS_PER_FRAME, Objects, replay_objects
from wotempo.pdm.states import CENTRE, NUM_STEPS, box_points

NUM_FRAMES = (NUM_STEPS - 1) // STEPS_PER_FRAME + 1  # the current one and those of the 4 s horizon


@dataclass(frozen=True)
class ExtendedContext:
    """Inputs of the extended score, global frame, float64."""

    scene: SceneContext  # its objects reach to 4 s only, and none overlaps the ego at the start
    red_lights: RedLights
    history: np.ndarray | None  # (H, 11) states of the human every 0.1 s until now; None: comfort is not judged

    @classmethod
    def extend(cls, context: SceneContext, scene: Scene, map_index: MapIndex) -> ExtendedContext:
        """From the v1.1 context of ``scene``, its frames (3 before, current, 8 after) and the map around it.

        Raises SceneError when frames or boxes are missing.
        """
        past = [frame for frame in replace(scene, num_history=NUM_HISTORY).history if frame is not None]
        if len(past) < NUM_HISTORY:
            raise SceneError(
                scene.token,
                scene.log.name,
                f"EPDMS needs {NUM_HISTORY - 1} frames before the current one, the log has {len(past) - 1} without a "
                "gap; use a scene filter that requires the full history",
            )
        frames = [scene.current, *scene.future][:NUM_FRAMES]
        objects = without_overlapping(replay_objects(frames, NUM_FRAMES), context.ego)
        return cls(
            scene=replace(context, objects=objects),
            red_lights=red_lights(frames, map_index, scene.current.roadblock_ids),
            history=history_states(past),
        )


def without_overlapping(objects: Objects, ego: np.ndarray) -> Objects:
    """The objects that do not meet the box of the ego's start state (11,) at the first step; touching is meeting."""
    boxes = shapely.polygons(objects.corners[0])
    apart = ~(objects.present[0] & shapely.intersects(boxes, shapely.Polygon(box_points(ego)[:CENTRE])))
    return Objects(
        objects.corners[:, apart],
        objects.present[:, apart],
        objects.is_agent[apart],
        objects.is_stopped[apart],
        tuple(track for track, stays in zip(objects.tracks, apart, strict=False) if stays),
    )
