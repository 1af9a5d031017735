"""The geometry of a trained backbone's map, compared with the one that the warp assumes (docs/geometry.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from wotempo.batch import Batch
from wotempo.evaluation.probes.object_response import ObjectResponse, object_response
from wotempo.evaluation.probes.shift_curve import BANDS_M, Shift, shift_curve, without_place
from wotempo.planners.backbone.frames import unit_range
from wotempo.planners.bev_planner import BevPlanner

LOST_CELLS = 1.0  # objects further off than this in every layout: the map has none of them
FRONT_FACTOR = 1.5  # between 1, the way of the ego in the map of the whole extent, and 2, in one of its front half
LAYOUTS = {
    "whole": "the map covers the whole extent, as 'fixed' and every warp assume",
    "front": "the front half is stretched over all rows, as the map head of 'compat' teaches",
    "neither": "neither layout: such maps cannot be aligned by moving them",
    "mixed": "objects and shifts disagree: a blend of both layouts",
}


@dataclass(frozen=True)
class LayoutProbe:
    """``shifts``: all moving pairs, then by distance; ``shifts_without_place``: the same of maps less the mean map."""

    level: str
    frames: int
    objects: ObjectResponse
    shifts: list[Shift]
    shifts_without_place: list[Shift]
    by_objects: str
    by_shifts: str

    @property
    def layout(self) -> str:
        """A key of LAYOUTS."""
        return self.by_objects if self.by_shifts in (self.by_objects, "unknown") else "mixed"


@torch.no_grad()
def probe_layout(model: BevPlanner, batches: Iterable[Batch], object_frames: int) -> LayoutProbe:
    """``batches`` of ``wotempo.data`` with windows of two frames or more, whatever the model was trained with; objects
    are put into ``object_frames`` of their current frames."""
    encode, grid = model.stage_maps, model.stage_grid
    pairs, poses, cameras, lidars = [], [], [], []
    for batch in batches:
        camera = unit_range(batch["camera"], 255, torch.float32, "camera")
        lidar = unit_range(batch["lidar"], model.config.lidar_max, torch.float32, "lidar")
        bev = encode(camera, lidar).float()
        sample, place = batch["valid"][:, :-1].nonzero(as_tuple=True)
        index = batch["frame_index"]
        pairs.append(torch.stack((bev[index[sample, place]], bev[index[sample, -1]]), 1))
        poses.append(torch.stack((batch["pose"][sample, place], torch.zeros_like(batch["pose"][sample, 0])), 1))
        spread = index[:: max(1, len(index) // 2), -1]  # a few of every batch
        cameras.append(camera[spread])
        lidars.append(lidar[spread])
    maps, pose = torch.cat(pairs), torch.cat(poses)
    camera, lidar = torch.cat(cameras), torch.cat(lidars)
    chosen = torch.linspace(0, len(lidar) - 1, min(object_frames, len(lidar))).long().unique()
    objects = object_response(encode, camera[chosen], lidar[chosen], model.config.lidar_grid, grid)

    def align(maps: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        there = torch.ones(maps.shape[:2], dtype=torch.bool, device=maps.device)
        return model.fusion.warp_history(maps, pose, there, grid)

    def shifts(maps: Tensor) -> list[Shift]:
        bands = [(BANDS_M[0], BANDS_M[-1]), *pairwise(BANDS_M)]
        return [shift for band in bands if (shift := shift_curve(maps, pose, align, *band)) is not None]

    raw, moving = shifts(maps), shifts(without_place(maps))
    return LayoutProbe(
        level=model.fusion.level,
        frames=len(chosen),
        objects=objects,
        shifts=raw,
        shifts_without_place=moving,
        by_objects=layout_of_objects(objects),
        by_shifts=layout_of_shifts(moving[0] if moving else None),
    )


def layout_of_objects(objects: ObjectResponse) -> str:
    """whole | front | neither."""
    if min(objects.whole_cells, objects.front_cells) > LOST_CELLS:
        return "neither"
    return "whole" if objects.whole_cells <= objects.front_cells else "front"


def layout_of_shifts(shift: Shift | None) -> str:
    """whole | front | neither | unknown (nothing moved)."""
    if shift is None:
        return "unknown"
    if shift.best >= shift.unmoved or shift.best_factor < 1 / 2:
        return "neither"
    return "whole" if shift.best_factor < FRONT_FACTOR else "front"
