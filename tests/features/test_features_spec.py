from __future__ import annotations

from dataclasses import replace

import pytest

from wotempo.errors import UserError
from wotempo.features import FeatureSpec


def test_every_parameter_changes_the_content_hash():
    spec = FeatureSpec()
    assert spec.content_hash == FeatureSpec().content_hash
    others = [
        replace(spec, image_height=128, image_width=512),
        replace(spec, lidar_grid=spec.lidar_grid.with_shape(128, 128)),
        replace(spec, lidar_split_height=0.3),
        replace(spec, lidar_max_height=50.0),
        replace(spec, lidar_max=6),
    ]
    assert len({other.content_hash for other in [spec, *others]}) == 6


def test_impossible_sizes_are_refused():
    with pytest.raises(UserError, match="image_width"):
        FeatureSpec(image_height=256, image_width=512)
    with pytest.raises(UserError, match="lidar_max"):
        FeatureSpec(lidar_max=300)
