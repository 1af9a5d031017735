"""The layout probe finds the layout that an encoder was given, and says so when there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from wotempo.evaluation.probes.layout_probe import layout_of_objects, layout_of_shifts, probe_layout
from wotempo.evaluation.probes.object_response import centroid, object_response, with_object
from wotempo.evaluation.probes.shift_curve import shift_curve, without_place
from wotempo.fusion import build_fusion
from wotempo.geometry import BACKBONE_BEV, LIDAR_HISTOGRAM
from wotempo.planners.wote.wote import WoTE

CELLS = LIDAR_HISTOGRAM.rows
STEP = 24  # cells that the ego drives from frame to frame: 6 m


def whole(camera: Tensor, lidar: Tensor) -> Tensor:
    """8 m cells over everything; four channels, so that places differ."""
    return F.avg_pool2d(torch.cat((lidar, lidar.roll(1, 2), lidar.roll(1, 3), lidar.square()), 1), CELLS // 8)


def front(camera: Tensor, lidar: Tensor) -> Tensor:
    """Rows of 4 m over the front half."""
    return F.interpolate(whole(camera, lidar[:, :, CELLS // 2 :].repeat_interleave(2, 2)), (8, 8))


def nowhere(camera: Tensor, lidar: Tensor) -> Tensor:
    """Upside down."""
    return whole(camera, lidar).flip(2)


def lidar(count: int, seed: int = 0) -> Tensor:
    """Frames of one straight drive through a random world, oldest first: (count, 1, 256, 256) in [0, 1]."""
    g = torch.Generator().manual_seed(seed)
    blocks = torch.rand(1, 1, (CELLS + count * STEP) // 16 + 1, CELLS // 16, generator=g)
    world = F.interpolate(blocks, scale_factor=16.0, mode="bilinear")[0]
    return torch.stack([world[:, k * STEP : k * STEP + CELLS] for k in range(count)])


def align(maps: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
    there = torch.ones(maps.shape[:2], dtype=torch.bool)
    return build_fusion("none", maps.shape[2], BACKBONE_BEV).warp_history(maps, pose, there)


def pairs(encode: Callable[[Tensor, Tensor], Tensor], count: int = 24) -> tuple[Tensor, Tensor]:
    maps = encode(torch.empty(0), lidar(count))
    pose = torch.zeros(count - 1, 2, 3)
    pose[:, 0, 0] = -STEP * LIDAR_HISTOGRAM.cell_x
    return torch.stack((maps[:-1], maps[1:]), 1), pose


def test_an_object_is_put_where_it_is_said_to_be():
    put = with_object(torch.zeros(1, 1, CELLS, CELLS), LIDAR_HISTOGRAM, x=10.0, y=-6.0)[0, 0]
    rows, cols = put.nonzero(as_tuple=True)
    x, y = LIDAR_HISTOGRAM.to_metres(rows.double(), cols.double())
    assert float(x.mean()) == pytest.approx(10)
    assert float(y.mean()) == pytest.approx(-6)
    assert put.sum() * LIDAR_HISTOGRAM.cell_x * LIDAR_HISTOGRAM.cell_y == pytest.approx(8)


def test_what_is_everywhere_does_not_move_the_centroid():
    spot = torch.zeros(8, 8)
    spot[6, 1] = 1.0
    assert centroid(spot + 5.0) == (6.0, 1.0)


@pytest.mark.parametrize(("encode", "layout", "slope"), [(whole, "whole", 1.0), (front, "front", 2.0)])
def test_objects_name_the_layout(encode, layout, slope):
    camera, frames = torch.zeros(2, 3, 4, 4), lidar(2) / 2
    response = object_response(encode, camera, frames, LIDAR_HISTOGRAM, BACKBONE_BEV, steps=29)
    assert layout_of_objects(response) == layout
    assert response.along_y.slope == pytest.approx(1, abs=0.1)
    assert response.ahead.slope == pytest.approx(slope, abs=0.15)
    if layout == "whole":
        assert response.along_x.slope == pytest.approx(slope, abs=0.1)
        assert response.near > 0.99
        assert response.whole_cells < 0.4 < 2 < response.front_cells
    else:
        assert response.front_cells < 0.6 < 1.5 < response.whole_cells


def test_an_encoder_without_a_place_for_objects_is_neither():
    response = object_response(nowhere, torch.zeros(1, 3, 4, 4), lidar(1) / 2, LIDAR_HISTOGRAM, BACKBONE_BEV, steps=15)
    assert response.along_x.slope == pytest.approx(-1, abs=0.1)
    assert layout_of_objects(response) == "neither"


@pytest.mark.parametrize(("encode", "factor"), [(whole, 1.0), (front, 2.0)])
def test_shifts_name_the_layout(encode, factor):
    maps, pose = pairs(encode)
    shift = shift_curve(without_place(maps), pose, align)
    assert shift is not None
    assert abs(shift.best_factor - factor) <= 0.25
    assert layout_of_shifts(shift) == ("whole" if factor == 1 else "front")
    assert shift.best < 0.3
    assert shift.unmoved > 2 * shift.best
    if factor == 1:
        assert shift.warped == shift.curve["1"]


def test_residuals_are_what_they_are_called():
    """A map that does not change, in the ego's axes: unmoved is perfect; white noise leaves twice its variance."""
    torch.manual_seed(0)
    noise = torch.randn(200, 2, 4, 8, 8)
    pose = torch.zeros(200, 2, 3)
    pose[:, 0, 0] = -8.0  # one whole row: no interpolation
    shift = shift_curve(noise, pose, align)
    assert shift is not None
    assert shift.pairs == 200
    assert shift.warped == pytest.approx(2, abs=0.05)
    assert shift.unmoved == pytest.approx(2, abs=0.05)
    still = noise[:, :1].expand(-1, 2, -1, -1, -1)
    shift = shift_curve(still, pose, align)
    assert shift is not None
    assert (shift.unmoved, shift.best_factor) == (0, 0)
    assert layout_of_shifts(shift) == "neither"
    assert shift_curve(still, 0 * pose, align) is None, "nothing moved"
    assert layout_of_shifts(None) == "unknown"


@pytest.mark.parametrize("level", ["bev8", "lidar3"])
def test_a_model_is_probed_where_its_stage_sits(make_model, make_batch, level):
    model = make_model().eval()
    channels, grid = model.config.level(level)
    probed = WoTE(model.config, model.trajectory_anchors, build_fusion("mean", channels, grid, 3, level=level)).eval()
    encode, covered = probed.stage_maps, probed.stage_grid
    batch = make_batch(samples=4, window=3)
    maps = encode(batch["camera"] / 255, batch["lidar"] / model.config.lidar_max)
    assert maps.shape == (len(batch["camera"]), channels, *grid.shape)
    assert covered == grid
    probe = probe_layout(probed, [batch, batch], object_frames=2)
    assert probe.level == level
    assert probe.frames == 2
    assert probe.shifts[0].pairs == 12  # the first window of a batch has no history
    assert probe.layout in ("whole", "front", "neither", "mixed")
