"""The inputs of the network from one frame: stitched camera, LiDAR histogram, ego status. Pure arrays."""

from wotempo.features.camera import camera_feature, check_image
from wotempo.features.lidar import lidar_feature, moved_points
from wotempo.features.spec import FeatureSpec
from wotempo.features.status import status_feature, status_features, status_vector

__all__ = [
    "FeatureSpec",
    "camera_feature",
    "check_image",
    "lidar_feature",
    "moved_points",
    "status_feature",
    "status_features",
    "status_vector",
]
